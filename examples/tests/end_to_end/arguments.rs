//! What the user of an example gives it, and sees of it.

use crate::kit::{BACKENDS, Program, accept, connect, echoes, listener, on_both};
use rustix::process::Signal;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

#[test]
fn the_client_gets_its_message_back_from_the_server() {
    //= LOOP-1, LIFE-4, EOF-2, CLOSE-11, INFO-3
    on_both(|backend| {
        let (server, addr) = Program::server("tcp_echo_server", backend, &[]);
        for (n, client) in BACKENDS.into_iter().enumerate() {
            Program::example("tcp_echo_client", client, &[&addr.to_string()]).prints(&[
                "data sent: Hello World!",
                "data received: Hello World!",
                "the connection is closed",
            ]);
            let (_, came) = server.out.wait_for(n + 1, "connection from 127.0.0.1:");
            let peer = came.strip_prefix("connection from ").unwrap();
            server.out.wait_for(1, &format!("{peer}: finished by the peer"));
        }
    });
}

#[test]
fn a_socket_made_elsewhere_is_waited_for() {
    //= LOOP-3
    on_both(|backend| Program::example("existing_socket", backend, &[]).prints(&["received: abc"]));
}

#[test]
fn an_address_that_refuses_is_named() {
    //= LOOP-6
    let (listener, addr) = listener();
    drop(listener);
    on_both(|backend| {
        let mut client = Program::example("tcp_echo_client", backend, &[&addr.to_string()]);
        client.fails(&format!("{addr}: connect: connection refused"));
        assert!(client.out.all().is_empty());
    });
}

#[test]
fn a_host_is_found_by_its_name() {
    //= LOOP-1, LOOP-6, LOOP-7
    on_both(|backend| {
        // IPv6 may come first, where nobody listens.
        let (_server, addr) = Program::server("tcp_echo_server", backend, &[]);
        let mut client = Program::example("tcp_echo_client", backend, &[&format!("localhost:{}", addr.port())]);
        assert!(client.status().success());
        let mut client = Program::example("tcp_echo_client", backend, &["host.invalid:80"]);
        client.fails("host.invalid: resolve: ");
    });
}

#[test]
fn a_client_that_does_not_get_its_echo_fails() {
    //= LIFE-4, EOF-2
    on_both(|backend| {
        let (listener, addr) = listener();
        let mut client = Program::example("tcp_echo_client", backend, &[&addr.to_string()]);
        let mut peer = accept(&listener);
        peer.read_exact(&mut [0; 12]).unwrap();
        peer.write_all(b"Hello").unwrap();
        drop(peer);
        client.fails("not the echo");
        assert_eq!(client.out.all(), ["data sent: Hello World!", "the connection is finished by the peer"]);

        let mut client = Program::example("tcp_echo_client", backend, &[&addr.to_string()]);
        accept(&listener).write_all(b"Goodbye Moon").unwrap();
        client.fails("not the echo");
    });
}

#[test]
fn a_bad_argument_is_explained() {
    Program::example("tcp_echo_client", "mio", &["localhost"]).fails("localhost is no host: it is HOST:PORT");
    Program::example("starttls", "mio", &["client", "localhost"]).fails("localhost is no host: it is HOST:PORT");
    Program::example("starttls", "mio", &["middle"]).fails("middle is no end of a connection");
    Program::example("https_get", "mio", &["http://localhost/"])
        .fails("http://localhost/ is nothing to fetch: it is https://HOST");
    for name in ["tcp_echo_server", "existing_socket", "proxy", "chat", "nested"] {
        Program::example(name, "mio", &["localhost:8888"]).fails("localhost:8888 is no address: it is IP:PORT");
        Program::example(name, "io_uring", &[]).fails("mio or polling, not io_uring");
        Program::example(name, "mio", &["--help"]).fails("[--backend mio|polling]");
        Program::example(name, "mio", &["127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"]).fails("not 3");
    }
    for name in ["subprocess_date", "supervisor"] {
        Program::example(name, "io_uring", &[]).fails("mio or polling, not io_uring");
        Program::example(name, "mio", &["127.0.0.1:0"]).fails("at most 0 addresses, not 1");
    }
}

#[test]
fn a_port_in_use_is_named() {
    //= LOOP-15
    let (_listener, addr) = listener();
    on_both(|backend| {
        for name in ["tcp_echo_server", "proxy", "chat", "nested"] {
            let mut server = Program::example(name, backend, &[&addr.to_string()]);
            server.fails(&addr.to_string());
            assert!(server.out.all().is_empty());
        }
    });
}

#[test]
fn ipv6_is_served() {
    //= LOOP-13
    if let Err(error) = TcpListener::bind("[::1]:0") {
        println!("SKIPPED: there is no IPv6 here: {error}");
        return;
    }
    on_both(|backend| {
        let server = Program::example("tcp_echo_server", backend, &["[::1]:0"]);
        let addr = server.addr();
        assert!(addr.is_ipv6());
        assert!(echoes(&connect(addr), "six"));
        let mut client = Program::example("tcp_echo_client", backend, &[&addr.to_string()]);
        assert!(client.status().success());
        server.out.wait_for(2, "connection from [::1]:");
    });
}

#[test]
fn a_server_that_is_stopped_and_continued_goes_on() {
    //= RUST-6
    on_both(|backend| {
        for name in ["tcp_echo_server", "nested"] {
            let (server, addr) = Program::server(name, backend, &[]);
            let before = connect(addr);
            assert!(echoes(&before, "before"));
            for _ in 0..3 {
                // As Ctrl-Z and fg do: the waiting system call is interrupted.
                server.signal(Signal::STOP);
                server.signal(Signal::CONT);
            }
            server.signal(Signal::STOP);
            let mut meanwhile = connect(addr);
            let asker = thread::spawn(move || (echoes(&before, "while it stood still"), before));
            meanwhile.write_all(b"come").unwrap();
            server.signal(Signal::CONT);
            let (answered, before) = asker.join().unwrap();
            assert!(answered);
            meanwhile.read_exact(&mut [0; 4]).unwrap();
            assert!(echoes(&meanwhile, "after") && echoes(&before, "after"));
        }
    });
}
