//! Sends every line to everybody else: `chat [--backend mio|polling] [ADDR]`.
//!
//! Members know each other by id only: plain values, inert when their connection is gone.

use core::net::SocketAddr;
use plimsoll_examples::Example;
use plimsoll_mio::{CloseReason, Context, Data, Protocol, Selector, StreamId};
use std::io;
use std::process::ExitCode;

/// Who is here.
type Room = Vec<StreamId>;

/// The longest line that is waited for.
const LONGEST: usize = 4096;

#[derive(Default)]
struct Member {
    line: Vec<u8>,
}

impl Protocol<Room> for Member {
    fn connection_made(&mut self, cx: &mut Context<'_, Room>) {
        cx.state.push(cx.id);
        cx.write(format!("{} here\n", cx.state.len()).as_str());
    }

    fn data_received(&mut self, cx: &mut Context<'_, Room>, data: Data<'_>) {
        for piece in data.split_inclusive(|&byte| byte == b'\n') {
            if self.line.len() + piece.len() > LONGEST {
                cx.fail(format!("a line of more than {LONGEST} bytes"));
                return;
            }
            self.line.extend_from_slice(piece);
            if self.line.ends_with(b"\n") {
                // One copy of the line, shared by all who get it, however many they are.
                let line = plimsoll_mio::Bytes::from(core::mem::take(&mut self.line));
                for &member in cx.state.iter().filter(|&&member| member != cx.id) {
                    // Who has not taken what was sent before misses it, so that nobody's queue grows for ever.
                    if !cx.hub.is_writing_paused(member) {
                        cx.hub.write(member, line.clone());
                    }
                }
            }
        }
    }

    fn connection_lost(self: Box<Self>, cx: &mut Context<'_, Room>, _: CloseReason) {
        cx.state.retain(|&member| member != cx.id);
    }
}

struct Chat;

impl Example for Chat {
    fn run<P: Selector>(self, addrs: &[SocketAddr]) -> io::Result<()> {
        let mut event_loop = plimsoll_sys::EventLoop::<Room, P>::new(Room::new())?;
        let server = event_loop.listen(addrs[0], |_, _| Member::default())?;
        println!("listening on {}", server.addr());
        event_loop.run()
    }
}

fn main() -> ExitCode {
    plimsoll_examples::main(Chat, &["127.0.0.1:8888"])
}
