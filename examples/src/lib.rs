//! What every example has in common: its arguments, and the choice of a backend.

use core::net::SocketAddr;
use plimsoll_mio::Mio;
use plimsoll_polling::Polling;
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;

/// The poller below an example.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Backend {
    /// `plimsoll-mio`.
    Mio,
    /// `plimsoll-polling`.
    Polling,
}

/// An example that runs on any poller.
pub trait Example {
    /// Runs on the poller `P`.
    ///
    /// # Errors
    /// Whatever stops it: it is printed, and the program fails.
    fn run<P: plimsoll_mio::Selector + AsFd>(self, addrs: &[SocketAddr]) -> io::Result<()>;
}

/// Reads the arguments, `[--backend mio|polling] [ADDR ...]`, and runs an example with the addresses given, or else with `default`. What goes
/// wrong is said on the standard error output, and the program fails.
pub fn main(example: impl Example, default: &[&str]) -> ExitCode {
    let result = match arguments(std::env::args().skip(1), default) {
        Ok((Backend::Mio, addrs)) => example.run::<Mio>(&addrs),
        Ok((Backend::Polling, addrs)) => example.run::<Polling>(&addrs),
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The backend and the addresses that were asked for.
fn arguments(args: impl Iterator<Item = String>, default: &[&str]) -> io::Result<(Backend, Vec<SocketAddr>)> {
    let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidInput, what);
    let mut backend = Backend::Mio;
    let mut addrs: Vec<String> = Vec::new();
    let mut args = args;
    while let Some(arg) = args.next() {
        if !arg.starts_with('-') {
            addrs.push(arg);
            continue;
        }
        if arg != "--backend" {
            return Err(invalid(format!(
                "no {arg}: the arguments are [--backend mio|polling] and {} addresses at most",
                default.len()
            )));
        }
        backend = match args.next().as_deref() {
            Some("mio") => Backend::Mio,
            Some("polling") => Backend::Polling,
            other => return Err(invalid(format!("--backend is mio or polling, not {}", other.unwrap_or("nothing")))),
        };
    }
    if addrs.len() > default.len() {
        return Err(invalid(format!("at most {} addresses, not {}", default.len(), addrs.len())));
    }
    // What is not given is the default of its place.
    addrs.extend(default.iter().skip(addrs.len()).map(|addr| String::from(*addr)));
    let parse = |addr: &String| addr.parse().map_err(|_| invalid(format!("{addr} is no address: it is IP:PORT, or [IP]:PORT")));
    Ok((backend, addrs.iter().map(parse).collect::<io::Result<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> io::Result<(Backend, Vec<SocketAddr>)> {
        arguments(args.iter().map(|arg| String::from(*arg)), &["127.0.0.1:8888", "127.0.0.1:9999"])
    }

    #[test]
    fn arguments_choose_a_backend_and_replace_the_default_addresses() {
        let [a, b, c]: [SocketAddr; 3] = ["127.0.0.1:8888", "127.0.0.1:9999", "[::1]:1"].map(|addr| addr.parse().unwrap());
        assert_eq!(parse(&[]).unwrap(), (Backend::Mio, vec![a, b]));
        assert_eq!(parse(&["[::1]:1", "--backend", "polling"]).unwrap(), (Backend::Polling, vec![c, b]));
    }

    #[test]
    fn what_is_wrong_with_an_argument_is_named() {
        assert!(parse(&["localhost"]).unwrap_err().to_string().contains("localhost is no address"));
        assert!(parse(&["--backend", "io_uring"]).unwrap_err().to_string().contains("not io_uring"));
        assert!(parse(&["--help"]).unwrap_err().to_string().contains("[--backend mio|polling]"));
        assert!(parse(&["--backend"]).unwrap_err().to_string().contains("not nothing"));
        assert!(parse(&["[::1]:1"; 3]).unwrap_err().to_string().contains("at most 2"));
    }
}
