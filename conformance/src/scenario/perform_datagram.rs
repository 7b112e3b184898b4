//! Commands for a datagram endpoint, beside those that every endpoint has.

use super::model::Act;
use super::perform::{Answer, word_of};
use super::stage::Stage;
use plimsoll_core::{DatagramId, Hub};

pub(crate) fn of_datagram(hub: &mut Hub<Stage>, stage: &mut Stage, connection: usize, id: DatagramId, act: &Act) -> Answer {
    match act {
        Act::Send(payload) => {
            stage.posts(connection, &payload.bytes());
            ("send", Some(word_of(hub.send(id, payload.bytes()))))
        }
        Act::SendTo(payload, target) => match stage.address_of(*target) {
            Some(to) => {
                stage.posts(connection, &payload.bytes());
                ("send_to", Some(word_of(hub.send_to(id, payload.bytes(), to))))
            }
            None => ("send_to", Some("nowhere")),
        },
        Act::SetProtocol(name) => {
            let protocol = stage.datagram_protocol(connection, name);
            hub.set_datagram_protocol(id, protocol);
            ("", None)
        }
        _ => ("", None),
    }
}
