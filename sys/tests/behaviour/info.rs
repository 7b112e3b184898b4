//! What is known of a connection.

use super::kit::{Rig, Tap};
use crate::backend::{Addr, HubExt};

#[test]
fn addresses_are_known_from_the_making_to_the_loss() {
    //= INFO-2, INFO-3, LIFE-17
    let mut rig = Rig::new();
    let check = |cx: &mut crate::backend::Context<'_, super::kit::State>| {
        let both = (cx.hub.local_addr(cx.id), cx.hub.peer_addr(cx.id));
        cx.state.note(format!("{both:?}"));
    };
    let (server, addr) = rig.serve(move || Tap::new("server").on("made", check).on("eof", check));
    let id = rig.event_loop.hub().connect(addr, Tap::new("client"));
    assert_eq!(rig.event_loop.hub().peer_addr(id), None, "it is not made yet");
    rig.until_saw("client made");
    let client = rig.event_loop.hub().local_addr(id).unwrap();
    assert_eq!(rig.event_loop.hub().peer_addr(id), Some(Addr::from(addr)));
    rig.until_saw("server made");
    rig.event_loop.hub().close(id);
    rig.until(|state| state.reasons.len() == 2);
    let seen = format!("{:?}", (Some(server.addr()), Some(&client)));
    assert_eq!(rig.state().times(&seen), 2);
    for reason in &rig.state().reasons {
        let ends = [reason.ends().local.as_ref().unwrap(), reason.ends().peer.as_ref().unwrap()];
        assert!(ends == [&client, server.addr()] || ends == [server.addr(), &client]);
    }
    assert_eq!(rig.event_loop.hub().local_addr(id), None);
}

#[test]
fn a_socket_is_shown_after_the_callback_that_asked() {
    //= INFO-4
    let mut rig = Rig::new();
    let (sender, receiver) = std::sync::mpsc::channel();
    let (_, peer) = rig.serve_one(move || {
        let sender = sender.clone();
        Tap::new("server").on("made", move |cx| {
            let seen = sender.clone();
            cx.hub.with_socket(cx.id, move |socket| {
                seen.send(format!("{}", socket.peer_addr().unwrap())).unwrap();
            });
            sender.send("callback over".into()).unwrap();
        })
    });
    rig.settle();
    let shown: Vec<String> = receiver.try_iter().collect();
    assert_eq!(shown, ["callback over".to_owned(), peer.local_addr().unwrap().to_string()]);

    let id = rig.state().id("server");
    drop(peer);
    rig.until_saw("server lost(None)");
    rig.event_loop.hub().with_socket(id, |_| panic!("shown after the loss"));
    rig.settle();
    assert_eq!(rig.reported(), [""; 0]);
}
