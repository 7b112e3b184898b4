//! The report: one page that is whole, says what the run said, and shows itself without an error.

use core::time::Duration;
use plimsoll_conformance::scenario::oracle;
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Instant;

#[path = "../../sys/tests/behaviour/missing.rs"]
mod missing;
use missing::missing;

/// A folder of this test's own, gone when it ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("plimsoll-report-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed stays.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn report(folder: &Folder, options: &[&str]) -> (Output, String) {
    let page = folder.0.join("page.html");
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll-conformance"));
    let output = command.args(["report", "--html"]).arg(&page).args(options).output().unwrap();
    let html = fs::read_to_string(&page).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output, html)
}

/// An opening tag, or text between tags.
struct Tag {
    name: String,
    attributes: BTreeMap<String, String>,
    /// The tags that it stands in.
    inside: Vec<String>,
    /// The text up to the next tag.
    text: String,
}

/// The tags of a page in which every tag is closed, every attribute quoted and nothing left open.
fn tags(html: &str) -> Vec<Tag> {
    let mut rest = html.strip_prefix("<!DOCTYPE html>\n").expect("a document type");
    let (mut found, mut open): (Vec<Tag>, Vec<String>) = (Vec::new(), Vec::new());
    while let Some(at) = rest.find('<') {
        let text = &rest[..at];
        assert!(!text.contains('>'), "a stray `>` in {text:?}");
        if let Some(last) = found.last_mut() {
            last.text += text;
        }
        let end = rest[at..].find('>').expect("a tag that ends") + at;
        let inner = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = inner.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "</{name}> closes another tag");
            continue;
        }
        let (inner, empty) = inner.strip_suffix('/').map_or((inner, false), |inner| (inner, true));
        let (name, mut list) = inner.split_once(' ').unwrap_or((inner, ""));
        let mut attributes = BTreeMap::new();
        while !list.trim_start().is_empty() {
            let (key, behind) = list.trim_start().split_once("=\"").unwrap_or_else(|| panic!("not quoted: <{inner}>"));
            let (value, behind) = behind.split_once('"').unwrap_or_else(|| panic!("not quoted: <{inner}>"));
            assert!(attributes.insert(key.to_owned(), value.to_owned()).is_none(), "twice `{key}` in <{inner}>");
            list = behind;
        }
        found.push(Tag { name: name.into(), attributes, inside: open.clone(), text: String::new() });
        if name == "script" || name == "style" {
            let (raw, behind) = rest.split_once(&format!("</{name}>")).expect("its end");
            found.last_mut().unwrap().text = raw.into();
            rest = behind;
        } else if !empty {
            open.push(name.into());
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    assert_eq!(rest.trim(), "");
    found
}

fn has_class(tag: &Tag, class: &str) -> bool {
    tag.attributes.get("class").is_some_and(|classes| classes.split(' ').any(|one| one == class))
}

/// Nothing comes from elsewhere, and every link leads somewhere on the page.
fn is_whole(html: &str, tags: &[Tag]) {
    let mut ids = BTreeSet::new();
    for tag in tags {
        if let Some(id) = tag.attributes.get("id") {
            assert!(ids.insert(id.as_str()), "twice the id {id}");
        }
        assert!(!["link", "img", "iframe", "object", "embed", "base"].contains(&tag.name.as_str()), "<{}>", tag.name);
        assert!(!tag.attributes.contains_key("src"), "<{} src>", tag.name);
        if let Some(key) = tag.attributes.keys().find(|key| key.starts_with("on")) {
            panic!("<{} {key}>", tag.name);
        }
    }
    for tag in tags {
        if let Some(link) = tag.attributes.get("href") {
            let id = link.strip_prefix('#').unwrap_or_else(|| panic!("{link} leads away"));
            assert!(ids.contains(id), "{link} leads nowhere");
        }
    }
    for away in ["http:", "https:", "@import", "//cdn"] {
        assert!(!html.contains(away), "{away}");
    }
    assert_eq!(html.matches("url(").count(), html.matches("url(#").count());
    assert!(html.len() < 4_000_000, "{} bytes", html.len());
}

/// A line of the summary: `sim  192 passed (2 as they …), 0 failed, 3 skipped, 0.24 s`; passed, departed, failed, skipped.
fn summary(line: &str) -> Option<(String, [usize; 4])> {
    let (host, rest) = line.split_once(' ')?;
    let before = |word: &str| rest.split_once(word)?.0.rsplit([' ', '(', ',']).find(|part| !part.is_empty())?.parse().ok();
    let departed = before(" as they").unwrap_or(0);
    rest.ends_with(" s").then_some(())?;
    Some((host.into(), [before(" passed")?, departed, before(" failed")?, before(" skipped")?]))
}

#[test]
fn the_page_is_whole_and_says_what_the_run_says() {
    let folder = Folder::new("all");
    let hosts = ["sim", "level", "completion", "mio", "polling"];
    let options: Vec<&str> = hosts.iter().flat_map(|host| ["--host", host]).collect();
    let (output, html) = report(&folder, &options);
    let tags = tags(&html);
    is_whole(&html, &tags);

    // Every scenario has its card, its drawing, and a verdict for every host.
    let listed = Command::new(env!("CARGO_BIN_EXE_plimsoll-conformance")).args(["run", "--list"]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let ids: BTreeSet<&str> =
        listed.lines().filter(|line| line.contains('/')).filter_map(|line| line.split(' ').next()).collect();
    let cards: BTreeSet<&str> =
        tags.iter().filter(|tag| has_class(tag, "card")).filter_map(|tag| Some(tag.attributes.get("id")?.as_str())).collect();
    assert_eq!(cards, ids);
    assert!(ids.len() >= 190);
    let drawings = tags.iter().filter(|tag| has_class(tag, "roll")).count();
    assert!(drawings >= ids.len(), "{drawings} drawings of {} scenarios", ids.len());
    for shape in ["level", "water", "hi", "lo", "wp", "rp", "cl", "in", "w", "p", "c", "a"] {
        assert!(tags.iter().any(|tag| has_class(tag, shape) && tag.inside.len() > 8), "no drawing has `{shape}`");
    }

    // The figures of the table, the cards and the summary are the same.
    let mut of_cards: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for (n, tag) in tags.iter().enumerate().filter(|(_, tag)| tag.name == "b" && tag.attributes.contains_key("title")) {
        let (word, item) = (tag.attributes["title"].as_str(), &tags[n - 1]);
        assert!(item.name == "li" && has_class(item, word));
        let host = hosts.iter().find(|host| tag.text.trim().ends_with(&format!(" {host}")));
        *of_cards.entry(host.expect("a host")).or_default().entry(word).or_default() += 1;
    }
    let mut of_table: BTreeMap<&str, usize> = BTreeMap::new();
    for tag in tags.iter().filter(|tag| tag.inside.contains(&"tfoot".into()) && tag.attributes.contains_key("title")) {
        let digits: String =
            tag.text.split('\u{202f}').next_back().unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
        *of_table.entry(tag.attributes["title"].as_str()).or_default() += digits.replace("8239", "").parse::<usize>().unwrap();
    }
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: BTreeMap<String, [usize; 4]> = text.lines().filter_map(summary).collect();
    let mut sums = BTreeMap::new();
    for host in hosts {
        let [passed, departed, failed, skipped] = lines[host];
        let words = [("passed", passed - departed), ("departed", departed), ("failed", failed), ("skipped", skipped)];
        for (word, count) in words {
            assert_eq!(of_cards[host].get(word).copied().unwrap_or(0), count, "{host} {word}\n{text}");
            *sums.entry(word).or_default() += count;
        }
    }
    sums.retain(|_, count| *count > 0);
    assert_eq!(of_table, sums);
    in_a_browser(&folder, ids.len());
}

#[test]
fn a_failure_shows_the_first_difference_and_how_to_play_it_again() {
    let folder = Folder::new("fails");
    fs::create_dir_all(folder.0.join("eof")).unwrap();
    let file = folder.0.join("eof/wrong.toml");
    let text = "id = \"eof/wrong\"\nabout = \"A <wrong> one.\"\ncovers = [\"EOF-1\"]\nlink = { kind = \"tcp\" }\n\
        steps = [[\"peer\", \"send\", \"some\"], [\"peer\", \"eof\"], [\"app\", \"wait\", \"lost\"]]\n\
        expect.app = [\"cm\", [\"data\", \"none\"], \"eof\", [\"lost\", \"none\"]]\n";
    fs::write(&file, text).unwrap();
    let path = folder.0.to_str().unwrap();
    let (output, html) = report(&folder, &["--host", "sim", "--host", "polling", "--scenarios", path]);
    assert_eq!(output.status.code(), Some(1));
    let tags = tags(&html);
    is_whole(&html, &tags);
    let here: Vec<&Tag> = tags.iter().filter(|tag| has_class(tag, "here")).collect();
    assert_eq!(here.len(), 2);
    assert_eq!(
        html.matches("<td>data(&quot;none&quot;)</td><td>data(&quot;some&quot;) <b>← the first difference</b></td>").count(),
        2
    );
    assert_eq!(tags.iter().filter(|tag| has_class(tag, "roll")).count(), 2);
    for host in ["sim", "polling"] {
        assert!(html.contains(&format!("run --host {host} --id eof/wrong --scenarios {path}")));
    }
    assert!(html.contains("A &lt;wrong&gt; one."));
    let refused = Command::new(env!("CARGO_BIN_EXE_plimsoll-conformance")).args(["report", "--host", "sim"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn a_run_that_broke_is_drawn_as_far_as_it_got() {
    let folder = Folder::new("breaks");
    fs::create_dir_all(folder.0.join("eof")).unwrap();
    // Nobody is made by a factory that fails, so the connection that comes before the first step never comes about.
    let text = "id = \"eof/broken\"\nabout = \"A broken one.\"\ncovers = [\"EOF-1\"]\nlink = { kind = \"tcp\" }\napp.factory = \"raise\"\n\
        steps = [[\"peer\", \"eof\"]]\nexpect.peer = []\n";
    fs::write(folder.0.join("eof/broken.toml"), text).unwrap();
    let path = folder.0.to_str().unwrap();
    let (output, html) = report(&folder, &["--host", "sim", "--host", "polling", "--patience", "0.2", "--scenarios", path]);
    assert_eq!(output.status.code(), Some(1));
    let tags = tags(&html);
    is_whole(&html, &tags);
    assert_eq!(html.matches("the link could not be opened: it never came about").count(), 2);
    assert_eq!(tags.iter().filter(|tag| has_class(tag, "roll")).count(), 2);
    assert!(html.contains("report(failed)"), "{html}");
}

#[test]
fn a_departure_is_told_with_its_reason_and_its_trace() {
    if let Err(why) = oracle::python("asyncio") {
        return missing("Python", why);
    }
    let folder = Folder::new("departs");
    let (output, html) = report(&folder, &["--host", "asyncio", "--id", "eof/once"]);
    assert!(output.status.success());
    let tags = tags(&html);
    is_whole(&html, &tags);
    assert!(html.contains("<b>◇ asyncio departed</b> DIS-18"), "{html}");
    assert!(html.contains("<small>CPython 3."));
    // Steps and callbacks, and nothing of a queue that nobody has seen.
    assert_eq!(tags.iter().filter(|tag| has_class(tag, "roll")).count(), 1);
    let words = |class: &str| tags.iter().filter(|tag| tag.name == "text" && has_class(tag, class)).count();
    assert!(words("p") > 0 && words("c") > 2 && words("nr") > 2);
    assert!(!tags.iter().any(|tag| has_class(tag, "hull") && tag.inside.contains(&"figure".into())));
}

/// Red, green, blue of `#rrggbb`, and how bright that is (WCAG 2.2, relative luminance).
fn luminance(color: &str) -> f64 {
    let part = |at: usize| {
        let value = f64::from(u8::from_str_radix(&color[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
}

#[test]
fn words_stand_out_in_light_and_in_dark() {
    let style = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/report/style.css")).unwrap();
    let schemes: Vec<BTreeMap<&str, &str>> = style
        .split(":root {")
        .skip(1)
        .map(|part| part.split('}').next().unwrap().split(';').filter_map(|line| line.trim().split_once(": ")).collect())
        .collect();
    assert_eq!(schemes.len(), 2);
    let words = ["--ink", "--muted", "--sea", "--passed", "--departed", "--failed", "--skipped", "--high", "--low", "--peer"];
    let mut pairs: Vec<(&str, &str)> = words.iter().flat_map(|word| ["--bg", "--card"].map(|ground| (*word, ground))).collect();
    pairs.extend([("--ink", "--soft"), ("--muted", "--soft"), ("--passed", "--soft"), ("--departed", "--soft")]);
    pairs.extend(["--hull", "--water", "--pausing", "--closing"].map(|ground| ("--ink", ground)));
    for scheme in &schemes {
        for (word, ground) in &pairs {
            let (a, b) = (luminance(scheme[word]), luminance(scheme[ground]));
            let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
            assert!(contrast >= 4.5, "{word} on {ground}: {contrast:.2}");
        }
    }
}

/// The script runs to its end: it writes down how many cards are shown.
fn in_a_browser(folder: &Folder, cards: usize) {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let paths = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&paths).flat_map(|folder| names.map(|name| folder.join(name))).find(|path| path.is_file());
    let Some(browser) = found else {
        println!("SKIPPED: there is no chromium to show the page in");
        return;
    };
    let (dom, log) = (folder.0.join("dom"), folder.0.join("log"));
    let mut child = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync", "--enable-logging=stderr", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.0.join("profile").display()))
        .arg(format!("file://{}", folder.0.join("page.html").display()))
        .stdout(fs::File::create(&dom).unwrap())
        .stderr(fs::File::create(&log).unwrap())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let ended = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if begun.elapsed() > Duration::from_secs(120) {
            // It may have just ended.
            let _ = child.kill();
            break None;
        }
        sleep(Duration::from_millis(50));
    };
    let log = fs::read_to_string(log).unwrap_or_default();
    let Some(status) = ended.filter(|status| status.success()) else {
        println!("SKIPPED: the browser does not run here: {ended:?} {}", log.lines().last().unwrap_or_default());
        return;
    };
    let errors: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE") || line.contains("Uncaught")).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let dom = fs::read_to_string(dom).unwrap();
    assert!(dom.contains(&format!(">{cards}</output>")), "the script did not come to its end ({status})");
    println!("shown in {:.1?}", begun.elapsed());
}
