//! Pages over TLS.

use crate::kit::{Identity, PATIENCE, Program, accept, listener, on_both};
use std::io::{ErrorKind, Read, Write};
use std::thread;

/// What a server sends back, and whether it takes leave afterwards.
fn fetch(backend: &str, roots: &str, identity: &Identity, path: &str, answer: &[u8], leave: bool) -> (Program, String) {
    let (listener, addr) = listener();
    let url = format!("https://localhost:{}{path}", addr.port());
    thread::scope(|scope| {
        let server = scope.spawn(|| {
            let mut stream = identity.serve(accept(&listener));
            let mut request = Vec::new();
            let mut block = [0; 1024];
            while !request.ends_with(b"\r\n\r\n") {
                match stream.read(&mut block) {
                    Ok(n @ 1..) => request.extend_from_slice(&block[..n]),
                    // Whoever does not trust us leaves.
                    Ok(0) => return String::new(),
                    Err(error) if error.kind() != ErrorKind::WouldBlock => return String::new(),
                    Err(error) => panic!("no request: {error}"),
                }
            }
            stream.write_all(answer).unwrap();
            if leave {
                stream.conn.send_close_notify();
            }
            // It may have gone already, if it knows the length.
            let _ = stream.flush();
            String::from_utf8(request).unwrap()
        });
        let mut client = Program::with_env(if roots.is_empty() { "LANG" } else { "ROOTS" }, roots, "https_get", backend, &[&url]);
        let _ = client.status();
        (client, server.join().unwrap())
    })
}

#[test]
fn a_page_ends_where_its_length_says_or_with_the_servers_leave_and_nowhere_else() {
    //= TLS-1, TLS-8, TLS-9
    let identity = Identity::new();
    on_both(|backend| {
        let fetch =
            |answer: &str, leave| fetch(backend, identity.certificate.path(), &identity, "/a?b", answer.as_bytes(), leave);

        let (mut client, request) = fetch("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\nand more", false);
        client.prints(&["200 OK", "hello"]);
        assert!(request.starts_with("GET /a?b HTTP/1.0\r\nHost: localhost:"), "{request}");

        fetch("HTTP/1.0 200 Fine\r\n\r\nhello\nworld\n", true).0.prints(&["200 Fine", "hello", "world"]);
        fetch("HTTP/1.0 204 Nothing\r\nContent-Length: 0\r\n\r\n", false).0.prints(&["204 Nothing"]);

        let mut cut = fetch("HTTP/1.0 200 OK\r\n\r\nhello\n", false).0;
        cut.fails("without close_notify");
        let mut short = fetch("HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\nhello\n", true).0;
        short.fails("not complete");
        fetch("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", true).0.fails("the status is 404");
        fetch("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", true).0.fails("a length that is none");
        fetch("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true).0.fails("what was not asked");
        fetch("220 a server of mail\r\n", true).0.fails("invalid");
        fetch(&format!("HTTP/1.1 200 OK\r\nA: {}", "a".repeat(70_000)), true).0.fails("never ends");
    });
}

#[test]
fn a_long_page_comes_whole() {
    //= TLS-1, READ-1
    let identity = Identity::new();
    on_both(|backend| {
        let lines: Vec<String> = (0..100_000).map(|n| format!("line {n}")).collect();
        let page = lines.join("\n");
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{page}", page.len());
        let (mut client, _) = fetch(backend, identity.certificate.path(), &identity, "/", answer.as_bytes(), true);
        assert!(client.status().success(), "{:?}", client.err.all());
        let printed = client.out.all();
        assert!(printed[0] == "200 OK" && printed[1..] == lines[..], "other lines, or another number of them");
    });
}

#[test]
fn whom_the_operating_system_does_not_trust_is_refused_and_whom_it_trusts_is_not() {
    //= TLS-2
    let (identity, other) = (Identity::new(), Identity::new());
    on_both(|backend| {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes";
        // Nobody in this system knows the certificate; nor does somebody who asks for another root.
        let (mut stranger, request) = fetch(backend, "", &identity, "/", answer, true);
        stranger.fails("certificate");
        assert_eq!(request, "", "nothing was said to whom is not trusted");
        fetch(backend, other.certificate.path(), &identity, "/", answer, true).0.fails("certificate");

        // What the system trusts can be told by the environment.
        let (listener, addr) = listener();
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut stream = identity.serve(accept(&listener));
                stream.read_exact(&mut [0; 16]).unwrap();
                stream.write_all(answer).unwrap();
                stream.conn.send_close_notify();
                let _ = stream.flush();
            });
            let url = format!("https://localhost:{}/", addr.port());
            let trusted = identity.certificate.path();
            Program::with_env("SSL_CERT_FILE", trusted, "https_get", backend, &[&url]).prints(&["200 OK", "yes"]);
        });
    });
}

#[test]
fn a_page_of_openssls_is_fetched() {
    //= TLS-1, TLS-8
    let identity = Identity::new();
    on_both(|backend| {
        let (listener, addr) = listener();
        drop(listener);
        let port = addr.port().to_string();
        let (certificate, key) = (identity.certificate.path(), identity.key.path());
        let arguments = ["s_server", "-accept", &port, "-cert", certificate, "-key", key, "-www"];
        let Some(server) = Program::tool("openssl", &arguments) else { return };
        server.out.wait_for(1, "ACCEPT");
        let url = format!("https://localhost:{port}/");
        let mut client = Program::with_env("ROOTS", certificate, "https_get", backend, &[&url]);
        assert!(client.status().success(), "{:?}", client.err.all());
        let printed = client.out.all();
        assert_eq!(printed[0], "200 ok");
        assert!(printed.iter().any(|line| line.contains("TLSv1.3")), "{printed:?}");
    });
}

#[test]
fn a_server_that_is_not_there_is_named() {
    //= LOOP-6
    let (listener, addr) = listener();
    drop(listener);
    on_both(|backend| {
        let started = std::time::Instant::now();
        let mut client = Program::example("https_get", backend, &[&format!("https://127.0.0.1:{}/", addr.port())]);
        client.fails(&format!("{addr}: connect: connection refused"));
        assert!(started.elapsed() < PATIENCE);
    });
}
