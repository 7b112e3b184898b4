//! The lists of mutants: every survivor has its reason, and enough are caught.

use plimsoll_mutants::prints::Prints;
use plimsoll_mutants::{Verdict, Why, fresh, group, groups, left, list, merge, problems, scores, survivors, text, verdicts};
use serde_json::json;
use std::fs;

#[test]
fn every_survivor_has_a_reason_and_enough_are_caught() {
    let read = |name| fs::read_to_string(list(name)).unwrap();
    let verdicts = verdicts(&read("verdicts.txt")).unwrap();
    let survivors = survivors(&read("survivors.txt")).unwrap();
    assert!(verdicts.len() > 100, "{} verdicts", verdicts.len());
    assert!(text(&verdicts) == read("verdicts.txt"), "sorted, and as `run.sh` writes it");
    for (name, score) in groups(&scores(&verdicts, &survivors)) {
        println!("{name}: {score}");
    }
    let problems = problems(&verdicts, &survivors);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_group_is_not_helped_by_another_one() {
    let groups =
        ["core/src/hub/mod.rs", "core/src/hub/tls.rs", "core/src/driver/drive.rs", "core/src/driver/readiness/io.rs"].map(group);
    assert_eq!(groups, ["hub", "tls", "driver", "driver/readiness"]);
    assert_eq!(["core/src/stream.rs", "core/src/life.rs", "core/src/flow/data.rs"].map(group), ["stream", "the rest", "flow"]);
    let good: String = (0..100).map(|n| format!("core/src/flow/a.rs\tmutant {n}\tcaught\n")).collect();
    let low = verdicts(&(good + "core/src/hub/b.rs\tone\tmissed\n")).unwrap();
    let reasons = survivors("core/src/hub/b.rs\tone\topen: no test yet\n").unwrap();
    assert_eq!(problems(&low, &reasons), ["too few of hub: 0 of 1 viable mutants caught, 0.0 %"]);
}

#[test]
fn what_is_wrong_with_the_lists_is_found() {
    let twenty: String = (0..19).map(|n| format!("a.rs\tmutant {n}\tcaught\n")).collect::<String>() + "a.rs\tlast\tmissed\n";
    let known = verdicts(&twenty).unwrap();
    assert_eq!(problems(&known, &survivors("").unwrap()), ["survives without a reason: a.rs\tlast"]);
    let explained = survivors("# why\na.rs\tlast\tcost: takes longer\n").unwrap();
    assert!(problems(&known, &explained).is_empty(), "19 of 20 are enough");
    let other = survivors("a.rs\tlast\tcost: takes longer\na.rs\tmutant 3\topen: no test yet\n").unwrap();
    assert_eq!(problems(&known, &other), ["has a reason to survive and does not: a.rs\tmutant 3"]);

    let low = verdicts("b.rs\tone\tcaught\nb.rs\ttwo\tmissed\nb.rs\tthree\tunviable\n").unwrap();
    let hole = survivors("b.rs\ttwo\topen: no test yet\n").unwrap();
    assert_eq!(problems(&low, &hole).len(), 1, "half is not enough");
    let same = survivors("b.rs\ttwo\tequivalent: the same\n").unwrap();
    assert!(problems(&low, &same).is_empty(), "what cannot be caught does not count");
    let score = scores(&low, &same)["b.rs"];
    assert_eq!((score.caught, score.missed, score.equivalent, score.unviable, score.untried), (1, 1, 1, 1, 0));
    assert_eq!(
        score.to_string(),
        "1 of 2 viable mutants caught, 50.0 % (100.0 % without the 1 equivalent ones); 1 do not compile"
    );
    let none = verdicts("c.rs\tone\tuntried\nc.rs\ttwo\tuntried\n").unwrap();
    assert_eq!(scores(&none, &same)["c.rs"].to_string(), "none tried; 2 untried");
}

#[test]
fn lines_that_say_nothing_are_refused() {
    for line in ["a.rs\tone", "a.rs\tone\tfine", "a.rs\tone\tcaught x", "a.rs\tone\tcaught\nb.rs\ttwo\tcaught\na.rs\tone\tmissed"]
    {
        verdicts(line).unwrap_err();
    }
    for line in ["a.rs\tone\t", "a.rs\tone\tbecause", "a.rs\tone\tcost: ", "a.rs\tone\tequivalent:"] {
        survivors(line).unwrap_err();
    }
    assert_eq!(survivors("a.rs\tone\topen: why\n").unwrap().into_values().collect::<Vec<_>>(), [Why::Open]);
}

#[test]
fn a_run_replaces_what_it_tried_and_drops_what_is_no_mutant_any_more() {
    let mut known = verdicts("a.rs\tgone\tmissed\na.rs\tswap in f\tcaught\na.rs\tkept\tcaught\nb.rs\tother\tmissed\n").unwrap();
    let mutant = |line: u32, change: &str| json!({ "file": "a.rs", "name": format!("a.rs:{line}:7: {change}") });
    let all = json!([mutant(1, "swap in f"), mutant(2, "swap in f"), mutant(3, "kept"), mutant(4, "new"), mutant(5, "later")]);
    let outcome =
        |line: u32, change: &str, summary: &str| json!({ "scenario": { "Mutant": mutant(line, change) }, "summary": summary });
    let first = json!({ "outcomes": [
        json!({ "scenario": "Baseline", "summary": "Success" }),
        outcome(1, "swap in f", "MissedMutant"),
        outcome(2, "swap in f", "MissedMutant"),
        outcome(4, "new", "Unviable"),
    ] });
    let second = json!({ "outcomes": [outcome(2, "swap in f", "Timeout")] });
    let source = |file: &str| (file != "b.rs").then(|| "fn f() {\n    1 + 1\n    + 1\n    + 1\n}\n".to_owned());
    merge(&mut known, &all, &[first, second], source).unwrap();
    let print = Prints::of(&source("a.rs").unwrap()).at(2).unwrap();
    let now = format!(
        "a.rs\tswap in f\tmissed {print}\na.rs\tswap in f (2)\tcaught {print}\na.rs\tkept\tcaught\na.rs\tnew\tunviable {print}\na.rs\tlater\tuntried\nb.rs\tother\tmissed\n",
    );
    assert_eq!(known, verdicts(&now).unwrap());
    assert_eq!(verdicts(&text(&known)).unwrap(), known);
    assert_eq!(scores(&known, &survivors("").unwrap())["a.rs"].untried, 1);
    assert_eq!(left(&known, &all).unwrap(), ["a.rs:1:7: swap in f", "a.rs:5:7: later"], "what was missed is tried again");

    let counts =
        |verdict: Verdict, lists: &plimsoll_mutants::Verdicts| lists.values().filter(|entry| entry.verdict == verdict).count();
    let today = fresh(known.clone(), source);
    assert_eq!((today.len(), counts(Verdict::Untried, &today)), (5, 2), "what has no print counts no more, nor what has no file");
    let edited = |file: &str| source(file).map(|text| text.replace("1 + 1", "2 + 1"));
    let today = fresh(known.clone(), edited);
    assert_eq!(counts(Verdict::Untried, &today), 5, "the function reads otherwise");
    assert_eq!(left(&today, &all).unwrap().len(), 5);
    merge(&mut known, &json!([]), &[json!({ "outcomes": [outcome(9, "unknown", "Timeout")] })], source).unwrap_err();
}
