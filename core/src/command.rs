//! What is to be started: a program, its arguments and surroundings.

use crate::error::{Call, Error, ErrorKind};
use crate::open::Resource;
use crate::process::PipeFd;
use alloc::vec;
use alloc::vec::Vec;

/// What a standard descriptor of a child is connected to.
#[derive(Debug, Default)]
#[non_exhaustive]
pub enum Stdio {
    /// A new pipe to us: what is asked for by default.
    #[default]
    Piped,
    /// Ours.
    Inherit,
    /// Nothing: `/dev/null`.
    Null,
    /// Something of the backend's: a descriptor, moved in.
    Given(Resource),
    /// Of stderr only: the same as stdout, whatever that is (contract PROC-3). Of the others it is refused.
    Stdout,
}

/// A program to be started by [`Hub::spawn`](crate::Hub::spawn), and how.
///
/// Names and values are bytes, as the system has them; those of an `OsString` are its `into_encoded_bytes`. Nothing is interpreted but a
/// [`shell`](Self::shell) line.
///
/// ```
/// use plimsoll_core::{Command, Stdio};
///
/// let command = Command::new("sort").arg("-n").env("LC_ALL", "C").stderr(Stdio::Inherit);
/// let line = Command::shell("date | wc -c").stdin(Stdio::Null).stderr(Stdio::Stdout);
/// # drop((command, line));
/// ```
#[derive(Debug)]
#[must_use]
pub struct Command {
    argv: Vec<Vec<u8>>,
    clear_env: bool,
    env: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    cwd: Option<Vec<u8>>,
    stdio: [Stdio; 3],
    descriptors: Vec<(i32, Resource)>,
}

impl Command {
    /// This program, without arguments: a path, or a name that is looked for in `PATH`.
    pub fn new(program: impl Into<Vec<u8>>) -> Self {
        Self {
            argv: vec![program.into()],
            clear_env: false,
            env: Vec::new(),
            cwd: None,
            stdio: Default::default(),
            descriptors: Vec::new(),
        }
    }

    /// This line, for the shell: `/bin/sh -c line`. What it is made of must be trusted, or quoted.
    pub fn shell(line: impl Into<Vec<u8>>) -> Self {
        Self::new("/bin/sh").arg("-c").arg(line)
    }

    /// One argument more.
    pub fn arg(mut self, arg: impl Into<Vec<u8>>) -> Self {
        self.argv.push(arg.into());
        self
    }

    /// Some arguments more.
    pub fn args<A: Into<Vec<u8>>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.argv.extend(args.into_iter().map(Into::into));
        self
    }

    /// A variable of its environment, beside those that it inherits.
    pub fn env(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.env.push((name.into(), Some(value.into())));
        self
    }

    /// Without this variable.
    pub fn env_remove(mut self, name: impl Into<Vec<u8>>) -> Self {
        self.env.push((name.into(), None));
        self
    }

    /// With none of our variables; those of [`env`](Self::env) said before and after this stay.
    pub const fn env_clear(mut self) -> Self {
        self.clear_env = true;
        self
    }

    /// In this directory.
    pub fn current_dir(mut self, dir: impl Into<Vec<u8>>) -> Self {
        self.cwd = Some(dir.into());
        self
    }

    /// What its standard input is.
    pub fn stdin(mut self, stdin: Stdio) -> Self {
        self.stdio[0] = stdin;
        self
    }

    /// What its standard output is.
    pub fn stdout(mut self, stdout: Stdio) -> Self {
        self.stdio[1] = stdout;
        self
    }

    /// What its standard error output is.
    pub fn stderr(mut self, stderr: Stdio) -> Self {
        self.stdio[2] = stderr;
        self
    }

    /// One descriptor more that the child has, under this number, 3 at least. The backend's extension trait may have a typed form of this.
    pub fn descriptor(mut self, number: i32, resource: Resource) -> Self {
        self.descriptors.push((number, resource));
        self
    }

    /// Whether there is a pipe for that descriptor.
    #[must_use]
    pub const fn is_piped(&self, fd: PipeFd) -> bool {
        matches!(self.stdio[fd as usize], Stdio::Piped)
    }

    /// Whether it can be started at all.
    ///
    /// # Errors
    /// `InvalidInput` if the program is empty, something has a NUL byte in it, a variable has no name or `=` in its name, a descriptor stands below 3 or
    /// twice, or something but stderr is joined to stdout.
    pub fn check(&self) -> Result<(), Error> {
        let names = self.env.iter().map(|(name, _)| name);
        let values = self.env.iter().filter_map(|(_, value)| value.as_ref());
        let mut texts = self.argv.iter().chain(&self.cwd).chain(names.clone()).chain(values);
        let numbers = self.descriptors.iter().map(|&(number, _)| number);
        let twice = numbers.clone().enumerate().any(|(n, number)| numbers.clone().skip(n + 1).any(|other| other == number));
        let refused = self.argv[0].is_empty()
            || texts.any(|text| text.contains(&0))
            || names.clone().any(|name| name.is_empty() || name.contains(&b'='))
            || numbers.clone().any(|number| number < 3)
            || twice
            || self.stdio[..2].iter().any(|stdio| matches!(stdio, Stdio::Stdout));
        if refused { Err(Error::new(Call::Spawn, ErrorKind::InvalidInput)) } else { Ok(()) }
    }

    /// What it is made of, for backends.
    #[must_use]
    pub fn into_parts(self) -> CommandParts {
        let Self { argv, clear_env, env, cwd, stdio, descriptors } = self;
        CommandParts { argv, clear_env, env, cwd, stdio, descriptors }
    }
}

impl From<&str> for Command {
    /// A program without arguments.
    fn from(program: &str) -> Self {
        Self::new(program)
    }
}

/// The parts of a [`Command`].
#[derive(Debug)]
#[non_exhaustive]
pub struct CommandParts {
    /// The program, then its arguments.
    pub argv: Vec<Vec<u8>>,
    /// Our environment is not inherited.
    pub clear_env: bool,
    /// Variables that are set, or taken out, in order.
    pub env: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// The directory that it starts in.
    pub cwd: Option<Vec<u8>>,
    /// What its standard descriptors are.
    pub stdio: [Stdio; 3],
    /// Descriptors beside those, by number.
    pub descriptors: Vec<(i32, Resource)>,
}
