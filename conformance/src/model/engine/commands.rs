//! What a callback may do to any endpoint.

use super::super::{State, StreamModel};
use super::{EngineModel, Entry, Ep, Reported, SILENT_WRITES};
use plimsoll_core::WriteStatus;

impl EngineModel {
    /// `connect`, for this protocol.
    pub fn connect(&mut self, protocol: (u32, bool)) -> Ep {
        self.new_endpoint(None, Some(protocol))
    }

    /// `write`.
    pub fn write(&mut self, ep: Ep, data: &[u8]) -> WriteStatus {
        let endpoint = &mut self.endpoints[ep];
        if endpoint.stale {
            return WriteStatus::Discarded;
        }
        let status = endpoint.stream.write(data);
        if status == WriteStatus::Discarded && !data.is_empty() {
            endpoint.late_writes += 1;
            if endpoint.late_writes > SILENT_WRITES {
                self.reports.push_back(Reported::WriteDiscarded(ep));
            }
        }
        self.touch(ep);
        status
    }

    /// A command of the stream's that drops nothing.
    fn command(&mut self, ep: Ep, what: impl FnOnce(&mut StreamModel)) {
        if !self.endpoints[ep].stale {
            what(&mut self.endpoints[ep].stream);
            self.touch(ep);
        }
    }

    /// `write_eof`.
    pub fn write_eof(&mut self, ep: Ep) {
        self.command(ep, |stream| {
            // A stream of sockets can always be finished.
            let _ = stream.write_eof();
        });
    }

    /// `close`.
    pub fn close(&mut self, ep: Ep) {
        self.command(ep, StreamModel::close);
    }

    /// `abort`.
    pub fn abort(&mut self, ep: Ep) {
        if !self.endpoints[ep].stale {
            self.endpoints[ep].dropped += self.endpoints[ep].stream.abort() as u64;
            self.touch(ep);
        }
    }

    /// `fail`: reported each time (row "fatal callback failure": "hook only" once the cause is fixed).
    pub fn fail(&mut self, ep: Ep) {
        if !self.endpoints[ep].stale {
            self.reports.push_back(Reported::Failed(ep));
            self.force(ep, true);
        }
    }

    /// `report`.
    pub fn report(&mut self) {
        self.reports.push_back(Reported::Application);
    }

    /// `pause_reading`.
    pub fn pause_reading(&mut self, ep: Ep) {
        self.command(ep, |stream| {
            stream.pause_reading();
        });
    }

    /// `resume_reading`.
    pub fn resume_reading(&mut self, ep: Ep) {
        self.command(ep, |stream| {
            stream.resume_reading();
        });
    }

    /// `set_write_buffer_limits`.
    pub fn set_limits(&mut self, ep: Ep, low: usize, high: usize) -> WriteStatus {
        if self.endpoints[ep].stale {
            return WriteStatus::Discarded;
        }
        let status = self.endpoints[ep].stream.set_limits(low, high);
        self.touch(ep);
        status
    }

    /// `set_protocol`; whether the former one is given back.
    pub fn set_protocol(&mut self, ep: Ep, tag: u32, buffered: bool) -> bool {
        let called = self.running.and_then(super::Turn::ep) == Some(ep);
        let endpoint = &mut self.endpoints[ep];
        if endpoint.stale || endpoint.stream.state() == State::Lost {
            return false;
        }
        self.cancel_timers_of(ep);
        let endpoint = &mut self.endpoints[ep];
        endpoint.switched = true;
        if called {
            endpoint.successor.replace((tag, buffered)).is_some()
        } else {
            endpoint.buffered = buffered;
            endpoint.protocol.replace(tag).is_some()
        }
    }

    /// `read_follows_write`. *Ruling:* with a lost reader or writer it does nothing.
    pub fn follow(&mut self, reader: Ep, writer: Ep) {
        let lost = |ep: Ep| self.endpoints[ep].stale || self.endpoints[ep].stream.is_over();
        if !lost(reader) && !lost(writer) {
            self.follows.push((reader, writer));
        }
    }

    /// `call_soon`.
    pub fn call_soon(&mut self) -> u32 {
        let job = self.new_job();
        self.ready.push_back(Entry::Job(job));
        job
    }
}
