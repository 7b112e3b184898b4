//! What the kernel does for datagrams of one flow.
#![cfg_attr(any(not(target_os = "linux"), plimsoll_one_datagram_a_call), allow(dead_code, reason = "others do nothing for it"))]

/// What the kernel does for a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::socket) struct Offload {
    pub(super) cuts: Cuts,
    /// It puts together what comes (`UDP_GRO`).
    pub(in crate::socket) puts_together: bool,
}

/// Whether it cuts a message into datagrams (`UDP_SEGMENT`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Cuts {
    /// There was no reason to find out.
    #[default]
    Unknown,
    Yes,
    /// It does not know how, or refused: the device cannot do it, or the datagrams are too large to be sent without being broken up. They are sent one by one from then on.
    No,
}
