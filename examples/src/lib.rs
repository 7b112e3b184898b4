//! What every example has in common: its arguments, and the choice of a backend.

pub mod tls;

use core::net::SocketAddr;
use http::Uri;
use plimsoll_mio::{Mio, UnixAddr};
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

/// An example that runs on any poller, and is told hosts by their names.
pub trait ByName {
    /// Runs on the poller `P`.
    ///
    /// # Errors
    /// Whatever stops it: it is printed, and the program fails.
    fn run<P: plimsoll_mio::Selector + AsFd>(self, hosts: &[(String, u16)]) -> io::Result<()>;
}

/// Which end of a connection an example is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Role {
    /// It listens.
    Server,
    /// It connects.
    Client,
}

/// An example that runs on any poller, and is either end of a Unix socket.
pub trait OnUnix {
    /// Runs on the poller `P`.
    ///
    /// # Errors
    /// Whatever stops it: it is printed, and the program fails.
    fn run<P: plimsoll_mio::Selector + AsFd>(self, role: Role, at: UnixAddr) -> io::Result<()>;
}

/// An example that runs on any poller, and is either end of a connection.
pub trait EitherEnd {
    /// Runs on the poller `P`.
    ///
    /// # Errors
    /// Whatever stops it: it is printed, and the program fails.
    fn run<P: plimsoll_mio::Selector + AsFd>(self, role: Role, host: &str, port: u16) -> io::Result<()>;
}

/// An example that runs on any poller, and fetches something.
pub trait Fetch {
    /// Runs on the poller `P`.
    ///
    /// # Errors
    /// Whatever stops it: it is printed, and the program fails.
    fn run<P: plimsoll_mio::Selector + AsFd>(self, uri: &Uri) -> io::Result<()>;
}

/// Reads the arguments, `[--backend mio|polling] [ADDR ...]`, and runs an example with the addresses given, or else with `default`. What goes
/// wrong is said on the standard error output, and the program fails.
pub fn main(example: impl Example, default: &[&str]) -> ExitCode {
    exit_code(arguments(std::env::args().skip(1), default, addr).and_then(|(backend, addrs)| match backend {
        Backend::Mio => example.run::<Mio>(&addrs),
        Backend::Polling => example.run::<Polling>(&addrs),
    }))
}

/// As [`main`], for arguments `[--backend mio|polling] [HOST:PORT ...]`.
pub fn main_by_name(example: impl ByName, default: &[&str]) -> ExitCode {
    exit_code(arguments(std::env::args().skip(1), default, host).and_then(|(backend, hosts)| match backend {
        Backend::Mio => example.run::<Mio>(&hosts),
        Backend::Polling => example.run::<Polling>(&hosts),
    }))
}

/// As [`main`], for arguments `[--backend mio|polling] [server|client] [PATH]`; a path that begins with `@` is an abstract name.
pub fn main_on_unix(example: impl OnUnix, default: &str) -> ExitCode {
    let words = arguments(std::env::args().skip(1), &["server", default], |word| Ok(String::from(word)));
    exit_code(words.and_then(|(backend, words)| {
        let (role, at) = (role(&words[0])?, unix(&words[1]));
        match backend {
            Backend::Mio => example.run::<Mio>(role, at),
            Backend::Polling => example.run::<Polling>(role, at),
        }
    }))
}

/// As [`main`], for arguments `[--backend mio|polling] [server|client] [HOST:PORT]`.
pub fn main_either_end(example: impl EitherEnd, default: &str) -> ExitCode {
    let words = arguments(std::env::args().skip(1), &["server", default], |word| Ok(String::from(word)));
    exit_code(words.and_then(|(backend, words)| {
        let (role, (host, port)) = (role(&words[0])?, host(&words[1])?);
        match backend {
            Backend::Mio => example.run::<Mio>(role, &host, port),
            Backend::Polling => example.run::<Polling>(role, &host, port),
        }
    }))
}

/// As [`main`], for arguments `[--backend mio|polling] [https://HOST[:PORT][/PATH]]`.
pub fn main_with_uri(example: impl Fetch, default: &str) -> ExitCode {
    exit_code(arguments(std::env::args().skip(1), &[default], https).and_then(|(backend, uris)| match backend {
        Backend::Mio => example.run::<Mio>(&uris[0]),
        Backend::Polling => example.run::<Polling>(&uris[0]),
    }))
}

fn exit_code(result: io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

fn addr(text: &str) -> io::Result<SocketAddr> {
    text.parse().map_err(|_| invalid(format!("{text} is no address: it is IP:PORT, or [IP]:PORT")))
}

fn host(text: &str) -> io::Result<(String, u16)> {
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let Some((host, port)) = parts.filter(|(host, _)| !host.is_empty()) else {
        return Err(invalid(format!("{text} is no host: it is HOST:PORT, IP:PORT, or [IP]:PORT")));
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    Ok((bare.unwrap_or(host).into(), port))
}

fn https(text: &str) -> io::Result<Uri> {
    let uri = text.parse::<Uri>().ok().filter(|uri| uri.scheme_str() == Some("https") && uri.host().is_some());
    uri.ok_or_else(|| invalid(format!("{text} is nothing to fetch: it is https://HOST[:PORT][/PATH]")))
}

fn role(text: &str) -> io::Result<Role> {
    match text {
        "server" => Ok(Role::Server),
        "client" => Ok(Role::Client),
        _ => Err(invalid(format!("{text} is no end of a connection: it is server or client"))),
    }
}

fn unix(text: &str) -> UnixAddr {
    text.strip_prefix('@').map_or_else(|| UnixAddr::path(text), UnixAddr::abstract_name)
}

/// The backend and the places that were asked for.
fn arguments<T>(
    args: impl Iterator<Item = String>,
    default: &[&str],
    parse: fn(&str) -> io::Result<T>,
) -> io::Result<(Backend, Vec<T>)> {
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
    Ok((backend, addrs.iter().map(|addr| parse(addr)).collect::<io::Result<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> io::Result<(Backend, Vec<SocketAddr>)> {
        arguments(args.iter().map(|arg| String::from(*arg)), &["127.0.0.1:8888", "127.0.0.1:9999"], addr)
    }

    #[test]
    fn arguments_choose_a_backend_and_replace_the_default_addresses() {
        let [a, b, c]: [SocketAddr; 3] = ["127.0.0.1:8888", "127.0.0.1:9999", "[::1]:1"].map(|addr| addr.parse().unwrap());
        assert_eq!(parse(&[]).unwrap(), (Backend::Mio, vec![a, b]));
        assert_eq!(parse(&["[::1]:1", "--backend", "polling"]).unwrap(), (Backend::Polling, vec![c, b]));
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_has_a_port() {
        for (text, name) in [("localhost:7", "localhost"), ("127.0.0.1:7", "127.0.0.1"), ("[::1]:7", "::1")] {
            assert_eq!(host(text).unwrap(), (name.into(), 7));
        }
        for text in ["localhost", ":7", "localhost:", "localhost:65536"] {
            assert!(host(text).unwrap_err().to_string().contains("HOST:PORT"), "{text}");
        }
    }

    #[test]
    fn a_unix_socket_has_two_ends_and_a_path_or_a_name() {
        assert_eq!((role("server").unwrap(), role("client").unwrap()), (Role::Server, Role::Client));
        assert!(role("/tmp/socket").unwrap_err().to_string().contains("/tmp/socket is no end"));
        assert_eq!((unix("/tmp/socket"), unix("@socket")), (UnixAddr::path("/tmp/socket"), UnixAddr::abstract_name("socket")));
    }

    #[test]
    fn what_is_fetched_is_fetched_over_tls() {
        assert_eq!(https("https://localhost:8443/a?b").unwrap().port_u16(), Some(8443));
        for text in ["localhost", "http://localhost/", "https:///", "https://local host/"] {
            assert!(https(text).unwrap_err().to_string().contains("is nothing to fetch"), "{text}");
        }
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
