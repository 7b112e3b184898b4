//! A connection that becomes secure on the way.

use crate::kit::{Identity, Program, accept, connect, listener, on_both, printed_by};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

fn server(backend: &'static str) -> (Program, u16) {
    let server = Program::example("starttls", backend, &["server", "127.0.0.1:0"]);
    let port = server.addr().port();
    (server, port)
}

fn client(backend: &str, roots: &str, port: u16) -> Program {
    Program::with_env("ROOTS", roots, "starttls", backend, &["client", &format!("localhost:{port}")])
}

#[test]
fn both_ends_become_secure_and_the_message_comes_back() {
    //= TLS-18, TLS-19, TLS-11
    on_both(|backend| {
        let (server, port) = server(backend);
        let roots = printed_by(&server);
        client(backend, roots.path(), port).prints(&[
            "secure: TLSv1.3",
            "data sent: Hello World!",
            "data received: Hello World!",
        ]);
        server.out.wait_for(1, ": secure");
        server.out.wait_for(1, ": finished by the peer");
    });
}

#[test]
fn who_does_not_trust_the_server_loses_the_connection_and_sends_nothing() {
    //= TLS-21
    let other = Identity::new();
    on_both(|backend| {
        let (server, port) = server(backend);
        let mut client = client(backend, other.certificate.path(), port);
        client.fails("TLS error");
        assert!(client.out.all().is_empty());
        server.out.wait_for(1, "TLS error");
        assert_eq!(server.out.count(": secure"), 0);
    });
}

fn line(stream: &mut impl BufRead) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    line
}

/// A client that has been greeted.
fn greeted(port: u16) -> BufReader<TcpStream> {
    let mut stream = BufReader::new(connect(([127, 0, 0, 1], port).into()));
    assert_eq!(line(&mut stream), "ready\n");
    stream
}

#[test]
fn what_is_pipelined_in_the_clear_behind_the_wish_is_refused() {
    //= TLS-19
    on_both(|backend| {
        let (server, port) = server(backend);
        let descriptors = server.descriptors();
        let mut stream = greeted(port);
        stream.get_ref().write_all(b"hello\n").unwrap();
        assert_eq!(line(&mut stream), "say STARTTLS first\n");
        // A command that somebody else has put behind it, to be taken for one of the secure connection.
        stream.get_ref().write_all(b"STARTTLS\r\nsomething in the clear\n").unwrap();
        // It ends, and nothing was answered.
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.is_empty(), "{rest:?}");
        server.out.wait_for(1, "a callback failed");
        server.err.wait_for(1, "in the clear");
        server.comes_to(descriptors);
        // Others are served.
        greeted(port);
    });
}

#[test]
fn a_client_takes_no_for_an_error_and_does_not_speak_in_the_clear() {
    //= TLS-18
    on_both(|backend| {
        let identity = Identity::new();
        let (listener, addr) = listener();
        let mut client = client(backend, identity.certificate.path(), addr.port());
        let mut stream = BufReader::new(accept(&listener));
        stream.get_ref().write_all(b"ready\n").unwrap();
        assert_eq!(line(&mut stream), "STARTTLS\n");
        stream.get_ref().write_all(b"no such command\n").unwrap();
        let mut rest = String::new();
        stream.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
        client.fails("the server says: no such command");
    });
}
