//! Peers that are not ours, where this machine has them.

use crate::kit::{Pattern, Program, missing, on_both};
use core::net::SocketAddr;
use std::io::Write;
use std::thread;

pub(crate) const CONTENT: [&str; 6] = [
    "0 bytes came back",
    "1 bytes came back",
    "65536 bytes came back",
    "1000000 bytes came back",
    "8388608 bytes came back",
    "the protocol is content",
];

#[test]
fn asyncio_clients_are_content() {
    //= READ-1, WRITE-1, WRITE-3, EOF-2, CLOSE-11
    on_both(|backend| {
        let (server, addr) = Program::server("tcp_echo_server", backend, &[]);
        let descriptors = server.descriptors();
        let Some(mut clients) = Program::python("echo_client.py", &[&addr.port().to_string()]) else { return };
        clients.prints(&CONTENT);
        server.out.wait_for(6, ": finished by the peer");
        server.comes_to(descriptors);
    });
}

#[test]
fn the_client_gets_its_message_back_from_an_asyncio_server() {
    //= LOOP-1, LIFE-6
    on_both(|backend| {
        let Some(server) = Program::python("echo_server.py", &[]) else { return };
        client_is_content(backend, server.addr());
    });
}

#[test]
fn the_proxy_stands_unnoticed_between_asyncio_and_asyncio() {
    //= READ-1, WRITE-3, EOF-3, EOF-6, EOF-10
    on_both(|backend| {
        let Some(upstream) = Program::python("echo_server.py", &[]) else { return };
        let (proxy, addr) = Program::server("proxy", backend, &[&upstream.addr().to_string()]);
        let descriptors = proxy.descriptors();
        let Some(mut clients) = Program::python("echo_client.py", &[&addr.port().to_string()]) else { return };
        clients.prints(&CONTENT);
        proxy.comes_to(descriptors);
    });
}

#[test]
fn socat_gets_everything_back() {
    //= READ-1, WRITE-3, EOF-2
    on_both(|backend| {
        let (_server, addr) = Program::server("tcp_echo_server", backend, &[]);
        if let Some(socat) = Program::tool("socat", &["-t", "30", "-", &format!("TCP:{addr}")]) {
            gets_everything_back(socat);
        }
    });
}

#[test]
fn nc_gets_everything_back() {
    //= READ-1, WRITE-3, EOF-2
    on_both(|backend| {
        let (_server, addr) = Program::server("tcp_echo_server", backend, &[]);
        // To finish its half when there is nothing more to send has to be asked for, and not of every nc.
        let Some(help) = Program::tool("nc", &["-h"]) else { return };
        if !(help.err.all().iter().chain(&help.out.all())).any(|line| line.contains("-N")) {
            return missing("nc", "that which is here cannot finish its half");
        }
        if let Some(nc) = Program::tool("nc", &["-N", "127.0.0.1", &addr.port().to_string()]) {
            gets_everything_back(nc);
        }
    });
}

#[test]
fn the_client_gets_its_message_back_from_socat() {
    //= LOOP-1
    on_both(|backend| {
        let Some(socat) = Program::tool("socat", &["-d", "-d", "TCP-LISTEN:0,bind=127.0.0.1", "PIPE"]) else { return };
        let (_, line) = socat.err.wait_for(1, "listening on ");
        client_is_content(backend, line.rsplit(' ').next().unwrap().parse().unwrap());
    });
}

fn client_is_content(backend: &str, addr: SocketAddr) {
    Program::example("tcp_echo_client", backend, &[&addr.to_string()]).prints(&[
        "data sent: Hello World!",
        "data received: Hello World!",
        "the connection is closed",
    ]);
}

/// Sends lines through a tool, and finds them in what it prints.
pub(crate) fn gets_everything_back(mut tool: Program) {
    let lines: Vec<String> = Pattern(1).first(2_000_000).chunks(50).map(|chunk| format!("{chunk:x?}")).collect();
    let mut stdin = tool.stdin();
    let text = lines.join("\n");
    let writer = thread::spawn(move || stdin.write_all(text.as_bytes()));
    assert!(tool.out.all() == lines, "other lines came back");
    writer.join().unwrap().unwrap();
    assert!(tool.status().success());
}
