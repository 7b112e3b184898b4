//! A loop inside another one.

use crate::kit::{MIB, Pattern, Program, connect, echoes, finish, on_both, receive, receive_to_the_end, send};
use std::net::TcpStream;
use std::thread;

#[test]
fn both_loops_are_alive() {
    //= READ-1, READ-6, WRITE-3, EOF-2
    on_both(|backend| {
        let (nested, addr) = Program::server("nested", backend, &[]);
        let descriptors = nested.descriptors();
        let clients: Vec<TcpStream> = (0..20).map(|_| connect(addr)).collect();
        let mut rounds = 0;
        // Each time nothing but the client's bytes can wake it.
        while nested.out.count("the outer loop is alive") < 3 {
            assert!(clients.iter().all(|client| echoes(client, "inner")));
            rounds += 1;
        }
        assert!(rounds > 10, "only {rounds} rounds in three seconds");
        nested.falls_asleep();

        let bulk = &clients[0];
        thread::scope(|scope| {
            scope.spawn(|| {
                send(bulk, Pattern(1), 0, 32 * MIB);
                finish(bulk);
            });
            receive_to_the_end(bulk, Pattern(1), 0, 32 * MIB);
        });
        drop(clients);
        nested.comes_to(descriptors);
        let beats = nested.out.count("the outer loop is alive");
        nested.out.wait_for(beats + 1, "the outer loop is alive");
    });
}

#[test]
fn bulk_of_several_does_not_silence_the_outer_loop() {
    //= READ-3
    on_both(|backend| {
        let (nested, addr) = Program::server("nested", backend, &[]);
        let clients: Vec<TcpStream> = (0..4).map(|_| connect(addr)).collect();
        let beaten = || nested.out.count("the outer loop is alive") >= 2;
        thread::scope(|scope| {
            for client in &clients {
                let beaten = &beaten;
                scope.spawn(move || {
                    let mut at = 0;
                    while !beaten() {
                        thread::scope(|scope| {
                            scope.spawn(|| send(client, Pattern(2), at, at + MIB));
                            receive(client, Pattern(2), at, at + MIB);
                        });
                        at += MIB;
                    }
                });
            }
            nested.out.wait_for(2, "the outer loop is alive");
        });
    });
}
