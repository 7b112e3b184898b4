//! The files of the suite: their schema, and what the parser refuses.

use plimsoll_conformance::scenario::{files, load, own_folder, parse, schema};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

/// As much of JSON Schema as the schema of the suite is made of.
fn valid(schema: &Value, root: &Value, value: &Value) -> bool {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        return valid(root.pointer(name.trim_start_matches('#')).expect("a reference that leads somewhere"), root, value);
    }
    let all = |key: &str, check: &dyn Fn(&Value) -> bool| schema.get(key).is_none_or(check);
    let kind = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64(),
        "boolean" => value.is_boolean(),
        other => panic!("the validator does not know `{other}`"),
    };
    let len = value.as_array().map(Vec::len);
    let number = |key: &str| schema.get(key).and_then(Value::as_i64);
    all("type", &|wanted| match wanted {
        Value::String(wanted) => kind(wanted),
        several => several.as_array().is_some_and(|several| several.iter().filter_map(Value::as_str).any(kind)),
    }) && all("const", &|wanted| wanted == value)
        && all("enum", &|wanted| wanted.as_array().is_some_and(|wanted| wanted.contains(value)))
        && all("anyOf", &|forms| forms.as_array().is_some_and(|forms| forms.iter().any(|form| valid(form, root, value))))
        && all("pattern", &|pattern| value.as_str().is_none_or(|text| matches(pattern.as_str().unwrap_or_default(), text)))
        && number("minimum").is_none_or(|least| value.as_i64().is_none_or(|number| number >= least))
        && number("minItems").is_none_or(|least| len.is_none_or(|len| len as i64 >= least))
        && number("maxItems").is_none_or(|most| len.is_none_or(|len| len as i64 <= most))
        && items(schema, root, value)
        && properties(schema, root, value)
}

fn items(schema: &Value, root: &Value, value: &Value) -> bool {
    let Some(list) = value.as_array() else { return true };
    let prefix = schema.get("prefixItems").and_then(Value::as_array).cloned().unwrap_or_default();
    let fits = prefix.iter().zip(list).all(|(schema, item)| valid(schema, root, item));
    fits && schema.get("items").is_none_or(|items| list.iter().skip(prefix.len()).all(|item| valid(items, root, item)))
}

fn properties(schema: &Value, root: &Value, value: &Value) -> bool {
    let Some(table) = value.as_object() else { return true };
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let complete = required.iter().filter_map(Value::as_str).all(|key| table.contains_key(key));
    complete
        && table.iter().all(|(key, value)| {
            if let Some(own) = schema.get("properties").and_then(|properties| properties.get(key)) {
                return valid(own, root, value);
            }
            let patterns = schema.get("patternProperties").and_then(Value::as_object);
            if let Some((_, own)) = patterns.and_then(|patterns| patterns.iter().find(|(pattern, _)| matches(pattern, key))) {
                return valid(own, root, value);
            }
            match schema.get("additionalProperties") {
                None => true,
                Some(Value::Bool(allowed)) => *allowed,
                Some(own) => valid(own, root, value),
            }
        })
}

/// As much of regular expressions as stands in the schema: groups, alternatives, classes, and how often.
fn matches(pattern: &str, text: &str) -> bool {
    let inner = pattern.strip_prefix('^').and_then(|pattern| pattern.strip_suffix('$')).expect("patterns are anchored");
    rest_of(inner, text).contains(&"")
}

/// Everything that may be left of `text` behind `pattern`.
fn rest_of<'a>(pattern: &str, text: &'a str) -> Vec<&'a str> {
    let mut depth = 0;
    for (at, c) in pattern.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            '|' if depth == 0 && !pattern[..at].ends_with('\\') => {
                return [rest_of(&pattern[..at], text), rest_of(&pattern[at + 1..], text)].concat();
            }
            _ => {}
        }
    }
    let Some(first) = pattern.chars().next() else { return vec![text] };
    let end = match first {
        '(' => {
            let mut depth = 0;
            pattern.char_indices().find(|(_, c)| {
                depth += i32::from(*c == '(') - i32::from(*c == ')');
                depth == 0
            })
        }
        '[' => pattern.char_indices().find(|(_, c)| *c == ']'),
        '\\' => pattern.char_indices().nth(1),
        _ => pattern.char_indices().next(),
    };
    let end = end.map(|(at, c)| at + c.len_utf8()).expect("a pattern that is closed");
    let (atom, behind) = pattern.split_at(end);
    let once = |text: &'a str| -> Vec<&'a str> {
        if let Some(group) = atom.strip_prefix('(') {
            return rest_of(&group[..group.len() - 1], text);
        }
        let Some(c) = text.chars().next() else { return Vec::new() };
        let fits = match atom.strip_prefix('[') {
            Some(class) => in_class(&class[..class.len() - 1], c),
            None => atom.trim_start_matches('\\').starts_with(c),
        };
        if fits { vec![&text[c.len_utf8()..]] } else { Vec::new() }
    };
    let (mut reached, behind) = match behind.chars().next() {
        Some('?') => ([vec![text], once(text)].concat(), &behind[1..]),
        Some(sign @ ('+' | '*')) => {
            let mut all = if sign == '*' { vec![text] } else { Vec::new() };
            let mut next = once(text);
            while !next.is_empty() {
                all.extend(&next);
                next = next.into_iter().flat_map(once).collect();
            }
            (all, &behind[1..])
        }
        _ => (once(text), behind),
    };
    reached.dedup();
    reached.into_iter().flat_map(|text| rest_of(behind, text)).collect()
}

fn in_class(class: &str, c: char) -> bool {
    if let Some(class) = class.strip_prefix('^') {
        return !in_class(class, c);
    }
    let chars: Vec<char> = class.chars().collect();
    (0..chars.len()).any(|at| match chars.get(at + 1..at + 3) {
        Some(['-', last]) => (chars[at]..=*last).contains(&c),
        _ => chars[at] == c,
    })
}

fn json_of(text: &str) -> Value {
    fn of(value: &toml::de::DeValue<'_>) -> Value {
        use toml::de::DeValue;
        match value {
            DeValue::String(text) => json!(text),
            DeValue::Integer(number) => json!(i64::from_str_radix(number.as_str(), number.radix()).unwrap()),
            DeValue::Boolean(yes) => json!(yes),
            DeValue::Array(items) => items.iter().map(|item| of(item.get_ref())).collect(),
            DeValue::Table(table) => table.iter().map(|(key, value)| (key.get_ref().to_string(), of(value.get_ref()))).collect(),
            DeValue::Float(_) | DeValue::Datetime(_) => panic!("neither fractions nor dates"),
        }
    }
    of(&toml::de::DeValue::Table(toml::de::DeTable::parse(text).unwrap().into_inner()))
}

#[test]
fn the_schema_is_made_from_the_tables_of_the_parser() {
    let kept = fs::read_to_string(schema::path()).unwrap();
    assert!(kept == schema::text(), "write it again: plimsoll-conformance run --schema > conformance/scenario.schema.json");
}

#[test]
fn every_file_is_as_the_schema_has_it() {
    let schema = schema::schema();
    let files = files(&own_folder()).unwrap();
    assert!(files.len() >= 370);
    for path in files {
        let value = json_of(&fs::read_to_string(&path).unwrap());
        assert!(valid(&schema, &schema, &value), "{}", path.display());
    }
}

#[test]
fn what_is_played_over_tcp_is_played_over_tls_or_says_why_not() {
    let silent: Vec<String> = load(&own_folder())
        .unwrap()
        .into_iter()
        .filter(|scenario| !scenario.speaks_of_tls())
        .map(|scenario| scenario.id)
        .collect();
    assert!(silent.is_empty(), "list the kind `tls`, or say why not in `link.without_tls`: {}", silent.join(", "));
}

const GOOD: &str = r#"id = "eof/x"
about = "A test."
covers = ["EOF-1"]
link = { kind = "tcp" }
steps = [
  ["peer", "eof"],
  ["app", "wait", "lost"],
]
expect.app = ["cm", "eof", ["lost", "none"]]
"#;

fn refusal(text: &str) -> String {
    let path = Path::new("scenarios/eof/x.toml");
    parse(path, text).expect_err("it should be refused").to_string()
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    assert!(parse(Path::new("scenarios/eof/x.toml"), GOOD).is_ok());
    let schema = schema::schema();
    assert!(valid(&schema, &schema, &json_of(GOOD)));
    // What is changed, into what, the line, a word of the message, and whether a schema alone can see it.
    let bad = [
        ("about =", "abuot =", 2, "abuot", true),
        ("\"eof\"],\n", "\"oef\"],\n", 6, "oef", true),
        ("[\"peer\", \"eof\"]", "[\"pear\", \"eof\"]", 6, "pear", true),
        ("\"eof\"],\n", "\"eof\"],\n  [\"peer\", \"send\", \"x\"],\n", 7, "finished", false),
        ("\"eof\"],\n", "\"close\"],\n  [\"peer\", \"eof\"],\n", 7, "closed in line 6", false),
        ("\"eof\"],\n", "\"reset\"],\n", 6, "needs `reset`", false),
        ("\"eof\"],\n", "\"eof\", 1],\n", 6, "arguments", true),
        ("\"eof\"],\n", "\"eof\"],\n  [\"app\", \"raise\"],\n", 7, "callback", false),
        ("\"wait\", \"lost\"", "\"wait\", \"pause\"", 7, "no such event", false),
        ("\"wait\", \"lost\"", "\"probe\", \"colour\"", 7, "colour", true),
        ("EOF-1", concat!("EOF-", "13"), 3, concat!("EOF-", "13"), false),
        ("EOF-1", "EOF-0", 3, "EOF-0", true),
        ("eof/x", "eof/y", 1, "eof/x", false),
        ("\"tcp\"", "\"tls\", without_tls = \"no\"", 4, "says why a file that lists `tcp` does not list `tls`", false),
        ("\"tcp\"", "\"tls\", tls = { peer = \"rude\" }", 4, "`rude` cannot be `peer`", true),
        ("\"tcp\"", "\"tls\", tls = { name = \"\" }", 4, "invalid dns name", false),
        ("\"tcp\" }", "\"tls\" }\napp.on.eof = [[\"write_eof\"]]", 5, "there is no half-close", false),
        ("\"tcp\"", "[\"tcp\", \"udp\"]", 4, "played with nothing else", false),
        ("\"tcp\"", "\"udp\", by = \"server\"", 4, "has no server", false),
        ("\"tcp\"", "\"udp\", by = \"adopt\", socket = \"listening\"", 4, "`connected` and `bound`", false),
        ("\"tcp\"", "\"udp\", sndbuf = 5", 4, "buffers that the system gives it", false),
        ("\"tcp\"", "\"tcp\", by = \"connect\", broadcast = true", 4, "goes with the kind `udp`", false),
        ("\"tcp\"", "\"udp\"", 6, "they have no end", false),
        ("\"eof\"],\n", "\"send_to\", \"x\", \"app\"],\n", 6, "there are no datagrams", false),
        ("steps", "app.on.data = [[\"send\", \"x\"]]\nsteps", 5, "bytes are written", false),
        ("steps", "app.on.data = [[\"send_to\", \"x\", \"mars\"]]\nsteps", 5, "cannot be for `mars`", true),
        ("steps", "app.on.err = [[\"close\"]]\nsteps", 1, "never gets `err`", false),
        ("\"tcp\"", "[\"unix\", \"unix\"]", 4, "once", false),
        ("\"tcp\"", "[]", 4, "at least one", true),
        ("\"tcp\"", "\"write-pipe\"", 6, "other end of a write pipe reads", false),
        ("\"tcp\"", "\"read-pipe\", by = \"connect\"", 4, "nobody connects to a pipe", false),
        ("\"tcp\"", "[\"tcp\", \"read-pipe\"], through = \"fifo\"", 4, "goes with pipes", false),
        ("\"tcp\"", "\"read-pipe\", through = \"hose\"", 4, "hose", true),
        ("\"tcp\"", "\"read-pipe\", through = \"file\"", 6, "no other end", false),
        ("\"tcp\"", "\"tpc\"", 4, "tpc", true),
        ("\"tcp\"", "\"tcp\", also = [\"b\"], by = \"telepathy\"", 4, "telepathy", true),
        ("[\"lost\", \"none\"]", "\"lost\"", 9, "class", true),
        ("\"cm\"", "{ perhaps = [\"cm\"] }", 9, "perhaps", true),
        ("\"cm\"", "\"cn\"", 9, "cn", true),
        ("\"cm\"", "\"second.cm\"", 9, "not declared", false),
        ("steps", "app.on.eof = [[\"fail\"], [\"close\"]]\nsteps", 5, "nothing can follow", false),
        ("steps", "app.on.data = [[\"fill\", 5]]\nsteps", 5, "step", false),
        ("steps", "app.on.data = [[\"app.c\", \"close\"]]\nsteps", 5, "no connection `c`", false),
        ("steps", "app.on.bu = [[\"close\"]]\nsteps", 5, "never gets", false),
        ("steps", "job.a = []\nsteps", 1, "never scheduled", false),
        ("steps", "child = [[\"exit\", 0]]\nsteps", 5, "goes with the kind `process`", false),
        ("\"tcp\" }", "\"process\" }", 4, "lacks `child`", false),
        ("\"tcp\" }\n", "\"process\", by = \"accept\" }\nchild = []\n", 4, "a child is started", false),
        ("\"tcp\" }\n", "\"process\" }\nchild = [[\"exit\", 0], [\"read\"]]\n", 5, "has ended before", false),
        ("\"tcp\" }\n", "\"process\" }\nchild = [[\"whistle\"]]\n", 5, "whistle", true),
        ("\"tcp\" }\n", "\"process\" }\nchild = [[\"exit\", 256]]\n", 5, "more than 255", false),
        ("\"tcp\" }\n", "\"process\", stdin = \"stdout\" }\nchild = []\n", 4, "stdin` cannot be", false),
        ("steps", "app.on.exited = []\nsteps", 1, "never gets `exited`", false),
        ("\"tcp\" }\n", "\"process\" }\nchild = []\n", 7, "only told to `go` on", false),
        ("\"eof\"],\n", "\"go\"],\n", 6, "there is no child", false),
        ("\"tcp\" }\n", "[\"tcp\", \"read-pipe\"] }\napp.on.eof = [[\"write\", \"x\"]]\n", 5, "is not written", false),
        ("steps", "app.on.data = [[\"write\", \"x\", { answers = \"Perhaps\" }]]\nsteps", 5, "Perhaps", true),
        ("steps", "needs = [\"luck\"]\nsteps", 5, "luck", true),
        ("steps", "job.a = 1.5\nsteps", 5, "fractions", true),
        ("expect.app", "departs.asyncio = { why = \"because\", expect = { app = [\"cm\"] } }\nexpect.app", 9, "DIS-", false),
        ("expect.app", "expect.apb", 9, "apb", true),
        ("\"eof\"],\n", "\"recv\", 6],\n", 6, "needs 6 of `data` by then, but `expect.peer` has at most 0", false),
        ("\"wait\", \"lost\"", "\"wait\", { lost = 2 }", 7, "`expect.app` has at most 1", false),
        ("covers = [\"EOF-1\"]\n", "", 1, "as [\"FLOW-6\"]; CONTRACT.md lists the ids", true),
        ("[\"EOF-1\"]", "[]", 3, "as [\"FLOW-6\"]; CONTRACT.md lists the ids", true),
        ("EOF-1", "EOF-0", 3, "`EOF-0` is no id of a requirement; CONTRACT.md lists them", true),
        ("steps", "app.on = [[\"close\"]]\nsteps", 5, "`app.on`: expected a table, found an array", true),
        ("steps", "job.a = 1\nsteps", 5, "`job.a`: expected an array, found an integer", true),
        ("\"tcp\" }", "\"tcp\", by = \"connect\", to = [[\"v4\", \"peer\"]] }", 4, "two addresses or more", true),
        ("\"tcp\" }", "\"tcp\", by = \"connect\", to = [[\"v4\", \"peer\"], [\"v4\", \"peer\"]] }", 4, "one peer at most", false),
        (
            "\"tcp\" }",
            "\"tcp\", by = \"connect\", to = [[\"v5\", \"peer\"], [\"v4\", \"silent\"]] }",
            4,
            "an address is `[family, who]`",
            true,
        ),
        (
            "\"tcp\" }",
            "\"tcp\", by = \"connect\", to = [[\"v4\", \"peer\"], [\"v4\", \"asleep\"]] }",
            4,
            "one of peer, other, nobody, silent",
            true,
        ),
        ("\"tcp\" }", "\"tcp\", to = [[\"v4\", \"peer\"], [\"v4\", \"silent\"]] }", 4, "does not go with this `by`", false),
        (
            "\"tcp\" }",
            "\"tcp\", by = \"connect\", to = [[\"v4\", \"peer\"], [\"v4\", \"silent\"]] }",
            1,
            "needs `resolver` here",
            false,
        ),
        (
            "\"tcp\" }",
            "\"tcp\", by = \"connect\", listener = \"nobody\", to = [[\"v4\", \"peer\"], [\"v4\", \"silent\"]] }",
            4,
            "there is no `listener` beside it",
            false,
        ),
        ("\"tcp\" }", "\"tcp\", by = \"connect\", stagger = 5 }", 4, "the addresses of `to` are tried", false),
        (
            "\"tcp\" }",
            "\"tcp\", by = \"server\", open = \"steps\", lies = \"socket\" }",
            4,
            "paths go with the kind `unix`",
            false,
        ),
        ("\"tcp\" }", "\"tcp\", at = \"home\" }", 4, "`at` is", true),
    ];
    for (old, new, line, word, visible) in bad {
        let text = GOOD.replacen(old, new, 1);
        assert_ne!(text, GOOD, "{old}");
        let message = refusal(&text);
        assert!(message.starts_with(&format!("scenarios/eof/x.toml:{line}: ")), "{message}");
        assert!(message.contains(word), "{message}");
        if visible && !text.contains("1.5") {
            assert!(!valid(&schema, &schema, &json_of(&text)), "the schema allows {new}");
        }
    }
}

#[test]
fn the_command_counts_and_shows_the_first_difference() {
    let folder = std::env::temp_dir().join(format!("plimsoll-scenarios-{}", std::process::id())).join("eof");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("x.toml"), GOOD).unwrap();
    fs::write(folder.join("y.toml"), GOOD.replace("eof/x", "eof/y").replace("\"eof\", [\"lost\"", "[\"lost\"")).unwrap();
    let run = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll-conformance"));
        let output = command.args(["run", "--host", "sim", "--scenarios"]).arg(&folder).args(more).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (good, text, _) = run(&["--id", "eof/x"]);
    assert!(good && text.ends_with("1 passed, 0 failed, 0 skipped\n"), "{text}");
    let (good, text, _) = run(&[]);
    assert!(!good && text.ends_with("1 passed, 1 failed, 0 skipped\n"), "{text}");
    assert!(
        text.contains("lost(none) | eof         <- the first difference") || text.contains("| eof  <- the first difference"),
        "{text}"
    );
    assert!(text.contains("--host sim --id eof/y"), "{text}");
    let (good, text, _) = run(&["--format", "junit"]);
    assert!(!good && text.contains("failures=\"1\"") && text.contains("<failure>"), "{text}");
    let (_, text, _) = run(&["--format", "json"]);
    let verdicts: Vec<Value> = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["verdict"].clone()).collect();
    assert_eq!(verdicts, ["passed", "failed"]);
    let (good, text, _) = run(&["--explain", "eof/x"]);
    assert!(good && text.contains("A test."), "{text}");
    // What a step waits for and how much of it came is said before what follows from it.
    let stuck = GOOD.replace("[\"peer\", \"eof\"]", "[\"peer\", \"send\", \"hello\"]").replace("eof/x", "eof/z");
    let stuck = stuck.replace("\"wait\", \"lost\"", "\"wait\", { data = 10 }");
    fs::write(folder.join("z.toml"), stuck.replace("\"cm\", ", "\"cm\", [\"data\", \"hello you!\"], ")).unwrap();
    let (good, text, _) = run(&["--id", "eof/z"]);
    let first = "FAIL eof/z on sim\n  line 7: stuck in `app wait { data = 10 }`: 5 of 10 came\n  lane `app`:\n";
    assert!(!good && text.starts_with(first), "{text}");
    assert!(text.contains("data(\"hello you!\") | data(\"hello\")  <- the first difference\n"), "{text}");
    fs::write(folder.join("z.toml"), "id = 1").unwrap();
    let (good, _, errors) = run(&[]);
    assert!(!good && errors.contains("z.toml:1: "), "{errors}");
    fs::remove_dir_all(folder.parent().unwrap()).unwrap();
}
