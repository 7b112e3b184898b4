//! The secure echo server and its client, with each other.

use crate::kit::{Program, on_both, printed_by};

#[test]
fn a_client_gets_its_echo_from_a_server_that_it_trusts_and_from_no_other() {
    //= TLS-1, TLS-2, TLS-11
    on_both(|backend| {
        let (server, addr) = Program::server("tls_echo_server", backend, &[]);
        let roots = printed_by(&server);
        let to = format!("localhost:{}", addr.port());

        let mut client = Program::with_env("ROOTS", roots.path(), "tls_client", backend, &[&to]);
        assert!(client.status().success(), "{:?}", client.err.all());
        let lines = client.out.all();
        assert!(lines[0].starts_with("TLSv1.3, TLS13_"), "{lines:?}");
        assert_eq!(lines[1..], ["data sent: Hello World!", "data received: Hello World!", "the connection is closed"]);
        server.out.wait_for(1, ": finished by the peer");

        // Nobody in this system knows the certificate.
        let mut stranger = Program::example("tls_client", backend, &[&to]);
        stranger.fails("certificate");
        server.falls_asleep();
    });
}
