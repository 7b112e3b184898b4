//! The chat: who hears what.

use crate::kit::{MIB, PATIENCE, Program, connect, on_both, patient, reset};
use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use socket2::{Domain, Socket, Type};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

struct Member(BufReader<TcpStream>);

impl Member {
    /// Comes in as the `count`th.
    fn new(addr: SocketAddr, count: usize) -> Self {
        Self::on(connect(addr), count)
    }

    fn on(stream: TcpStream, count: usize) -> Self {
        let mut member = Self(BufReader::new(stream));
        assert_eq!(member.hears(), format!("{count} here"));
        member
    }

    fn says(&self, text: &str) {
        self.0.get_ref().write_all_of(text);
    }

    /// The next line.
    fn hears(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        assert_eq!(line.pop(), Some('\n'), "{line:?} is cut");
        line
    }

    fn into_stream(self) -> TcpStream {
        self.0.into_inner()
    }
}

trait WriteAllOf {
    fn write_all_of(&self, text: &str);
}

impl WriteAllOf for TcpStream {
    fn write_all_of(&self, text: &str) {
        let mut stream = self;
        stream.write_all(text.as_bytes()).unwrap();
    }
}

#[test]
fn a_line_reaches_everybody_else() {
    //= WRITE-13, READ-1
    on_both(|backend| {
        let (_chat, addr) = Program::server("chat", backend, &[]);
        let [mut anna, mut ben, mut clara] = [1, 2, 3].map(|count| Member::new(addr, count));
        anna.says("hello\n");
        assert_eq!((ben.hears(), clara.hears()), (String::from("hello"), String::from("hello")));
        // In pieces, and several at once.
        ben.says("how ");
        ben.says("are you?\nI am");
        assert_eq!((anna.hears(), clara.hears()), (String::from("how are you?"), String::from("how are you?")));
        clara.says("\nfine\n");
        // Had she heard what she said herself, it would have been before this.
        assert_eq!([anna.hears(), anna.hears()], ["", "fine"]);
        assert_eq!([ben.hears(), ben.hears()], ["", "fine"]);
        ben.says(", thanks\n");
        assert_eq!((anna.hears(), clara.hears()), (String::from("I am, thanks"), String::from("I am, thanks")));
    });
}

#[test]
fn a_member_that_never_reads_holds_nobody_up() {
    //= FLOW-6, FLOW-7, WRITE-3
    const BATCH: usize = 8;
    const WIDTH: usize = 4000;
    on_both(|backend| {
        let (chat, addr) = Program::server("chat", backend, &[]);
        let anna = Member::new(addr, 1);
        let mut ben = Member::new(addr, 2);
        let deaf = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        deaf.set_recv_buffer_size(8192).unwrap();
        deaf.connect(&addr.into()).unwrap();
        let mut deaf = Member::on(patient(deaf.into()), 3);

        let line = |n: usize| format!("{n:0WIDTH$}");
        let resident = chat.resident();
        let batches = 500;
        for batch in 0..batches {
            let lines: Vec<String> = (0..BATCH).map(|n| line(batch * BATCH + n)).collect();
            anna.says(&(lines.join("\n") + "\n"));
            for line in lines {
                assert_eq!(ben.hears(), line);
            }
        }
        let grown = chat.resident().saturating_sub(resident);
        println!("{backend}: grown by {grown} while {} bytes went by", batches * BATCH * (WIDTH + 1));
        assert!(grown <= MIB, "grown by {grown} bytes");

        // What it has missed is whole lines, and it is back as soon as it reads.
        let back = AtomicBool::new(false);
        let heard = thread::scope(|scope| {
            let listening = scope.spawn(|| {
                let mut heard = Vec::new();
                loop {
                    let line = deaf.hears();
                    if line == "are you back?" {
                        back.store(true, Ordering::Release);
                        return heard;
                    }
                    assert_eq!(line.len(), WIDTH);
                    heard.push(line.parse::<usize>().unwrap());
                }
            });
            let deadline = Instant::now() + PATIENCE;
            while !back.load(Ordering::Acquire) {
                assert!(!listening.is_finished() && Instant::now() < deadline, "it hears nothing any more");
                anna.says("are you back?\n");
                assert_eq!(ben.hears(), "are you back?");
                thread::sleep(Duration::from_millis(5));
            }
            listening.join().unwrap()
        });
        assert!(heard.is_sorted_by(|a, b| a < b));
        assert!(heard.len() < batches * BATCH, "it has missed nothing, and nothing is shown");
    });
}

#[test]
fn a_member_that_resets_disappears() {
    //= READ-13, LIFE-13
    on_both(|backend| {
        let (chat, addr) = Program::server("chat", backend, &[]);
        let descriptors = chat.descriptors();
        let [anna, mut ben, clara] = [1, 2, 3].map(|count| Member::new(addr, count));
        reset(clara.into_stream());
        chat.comes_to(descriptors + 2);
        // The next one may get its slot and its descriptor, but is not who it was.
        let mut dora = Member::new(addr, 3);
        anna.says("who is here?\n");
        assert_eq!((ben.hears(), dora.hears()), (String::from("who is here?"), String::from("who is here?")));
        drop((anna, ben, dora));
        chat.comes_to(descriptors);
        Member::new(addr, 1);
    });
}

#[test]
fn an_endless_line_costs_its_member_only() {
    //= RUST-8
    on_both(|backend| {
        let (chat, addr) = Program::server("chat", backend, &[]);
        let descriptors = chat.descriptors();
        let [anna, mut ben, clara] = [1, 2, 3].map(|count| Member::new(addr, count));
        clara.says(&"x".repeat(5000));
        chat.err.wait_for(1, "a line of more than 4096 bytes");
        chat.comes_to(descriptors + 2);
        anna.says("that was close\n");
        assert_eq!(ben.hears(), "that was close");
        assert_eq!(chat.err.count(""), 1);
    });
}
