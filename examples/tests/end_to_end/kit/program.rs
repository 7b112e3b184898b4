//! Processes: the examples, and peers that are not ours.

use super::{Lines, PATIENCE, missing, until};
use core::net::SocketAddr;
use core::time::Duration;
use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process, setrlimit};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Once;
use std::thread;
use std::time::{Instant, SystemTime};

/// A process that is killed when the test is over.
pub(crate) struct Program {
    child: Child,
    pub(crate) out: Lines,
    pub(crate) err: Lines,
}

impl Program {
    /// Starts an example.
    pub(crate) fn example(name: &str, backend: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(path_of(name));
        command.args(["--backend", backend]).args(arguments);
        Self::start(command).unwrap()
    }

    /// Starts an example that looks for programs there.
    pub(crate) fn with_path(path: &str, name: &str, backend: &str) -> Self {
        Self::with_env("PATH", path, name, backend, &[])
    }

    /// Starts an example with this in its environment.
    pub(crate) fn with_env(variable: &str, value: &str, name: &str, backend: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(path_of(name));
        command.args(["--backend", backend]).args(arguments).env(variable, value);
        Self::start(command).unwrap()
    }

    /// Starts an example whose descriptors have numbers below this.
    pub(crate) fn limited(descriptors: usize, name: &str, backend: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"")]);
        command.arg(path_of(name)).args(["--backend", backend]).args(arguments);
        Self::start(command).unwrap()
    }

    /// Starts an example that serves, at a free port, and waits until it does.
    pub(crate) fn server(name: &str, backend: &str, arguments: &[&str]) -> (Self, SocketAddr) {
        let mut all = vec!["127.0.0.1:0"];
        all.extend(arguments);
        let server = Self::example(name, backend, &all);
        let addr = server.addr();
        (server, addr)
    }

    /// Starts a tool of the system's; none, if it is [`missing`].
    pub(crate) fn tool(name: &str, arguments: &[&str]) -> Option<Self> {
        let mut command = Command::new(name);
        command.args(arguments);
        let tool = Self::start(command);
        if tool.is_none() {
            missing(name, "no such program");
        }
        tool
    }

    /// Starts one of the peers that are written in Python, on CPython's asyncio.
    pub(crate) fn python(script: &str, arguments: &[&str]) -> Option<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script);
        let mut all = vec![script.to_str().unwrap()];
        all.extend(arguments);
        Self::tool("python3", &all)
    }

    fn start(mut command: Command) -> Option<Self> {
        raise_the_limit();
        let mut child = match command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => panic!("{command:?}: {error}"),
        };
        let out = Lines::of(child.stdout.take().unwrap());
        let err = Lines::of(child.stderr.take().unwrap());
        Some(Self { child, out, err })
    }

    /// Where it listens, as soon as it does.
    pub(crate) fn addr(&self) -> SocketAddr {
        let (_, line) = self.out.wait_for(1, "listening on ");
        line["listening on ".len()..].parse().unwrap()
    }

    /// What it reads.
    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().unwrap()
    }

    /// How it ended, as soon as it has.
    pub(crate) fn status(&mut self) -> ExitStatus {
        let mut status = None;
        until("the program has ended", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// It ends well, having printed these lines and nothing else.
    pub(crate) fn prints(&mut self, lines: &[&str]) {
        let status = self.status();
        assert_eq!(self.out.all(), lines, "{:?}", self.err.all());
        assert!(status.success(), "{:?}", self.err.all());
    }

    /// It ends badly, and its last words contain this.
    pub(crate) fn fails(&mut self, word: &str) {
        let status = self.status();
        assert_eq!(status.code(), Some(1), "{:?}", self.err.all());
        let lines = self.err.all();
        assert!(lines.len() == 1 && lines[0].starts_with("error: ") && lines[0].contains(word), "{lines:?}");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn proc(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.child.id()))
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(self.proc("fd")).unwrap().count()
    }

    /// How many descriptors it may still open under this limit: the limit is on their numbers, and it may have been born with larger ones.
    pub(crate) fn room(&self, limit: usize) -> usize {
        let numbers = fs::read_dir(self.proc("fd")).unwrap().map(|entry| entry.unwrap().file_name());
        limit - numbers.filter(|number| number.to_str().unwrap().parse::<usize>().unwrap() < limit).count()
    }

    /// Waits until it has as many descriptors open.
    pub(crate) fn comes_to(&self, descriptors: usize) {
        until(&format!("{descriptors} descriptors, but {}", self.descriptors()), || self.descriptors() == descriptors);
    }

    /// The memory that it has in use.
    pub(crate) fn resident(&self) -> u64 {
        let status = fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// The processor time that it has used.
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = fs::read_to_string(self.proc("stat")).unwrap();
        // Behind the name, which may contain anything, come the fields from the third one on.
        let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 1..].split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
    }

    /// Waits until it sleeps: a loop that spins never does.
    pub(crate) fn falls_asleep(&self) {
        const WINDOW: Duration = Duration::from_millis(500);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let before = self.processor_time();
            thread::sleep(WINDOW);
            let used = self.processor_time() - before;
            if used <= WINDOW / 10 {
                return;
            }
            assert!(Instant::now() < deadline, "it spins: {used:?} of {WINDOW:?}");
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An example beside this test. `cargo test` builds all of a package's examples before its tests run, but not with `--test`.
fn path_of(name: &str) -> PathBuf {
    static BUILT: Once = Once::new();
    let test = std::env::current_exe().unwrap();
    let directory = test.parent().unwrap().parent().unwrap();
    let path = directory.join("examples").join(name);
    BUILT.call_once(|| {
        let made = fs::metadata(&path).and_then(|file| file.modified());
        if made.map_or(true, |made| made < last_change()) {
            build_the_examples(directory.ends_with("release"));
        }
    });
    assert!(path.exists(), "{} is not built: `cargo build -p plimsoll-examples --examples` does it", path.display());
    path
}

/// When a source of the examples was changed last.
fn last_change() -> SystemTime {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut directories: Vec<PathBuf> =
        ["core", "sys", "backend-mio", "backend-polling"].map(|name| root.join(name).join("src")).into();
    directories.push(root.join("examples/src"));
    let mut last = SystemTime::UNIX_EPOCH;
    let mut look = |path: &Path| {
        if path.extension().is_some_and(|extension| extension == "rs") {
            last = last.max(fs::metadata(path).unwrap().modified().unwrap());
        }
    };
    for entry in fs::read_dir(root.join("examples")).unwrap() {
        look(&entry.unwrap().path());
    }
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { directories.push(path) } else { look(&path) }
        }
    }
    last
}

fn build_the_examples(release: bool) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "-p", "plimsoll-examples", "--examples"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    if release {
        cargo.arg("--release");
    }
    let status = cargo.stdin(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "{cargo:?} fails");
}

/// A thousand connections need more descriptors than a process is given on some systems; children inherit what we have.
fn raise_the_limit() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        setrlimit(Resource::Nofile, limit).unwrap();
    });
}
