//! Timers (contract LOOP-31, LIFE-14, decision 9).

use super::super::State;
use super::{EngineModel, Ep, Turn};
use crate::harness::{Violation, ensure};
use core::time::Duration;
use plimsoll_core::Instant;

/// One timer that is set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TimerModel {
    number: u32,
    /// Whose protocol is called; none: a callback.
    ep: Option<Ep>,
    deadline: Instant,
    /// When it was set, or set anew.
    at: u32,
    /// It was set anew, or had to wait for `connection_made`: *Ruling:* its place among equal deadlines is any.
    moved: bool,
}

impl EngineModel {
    /// `call_later`: the timer's number.
    pub fn call_later(&mut self, after: Duration) -> u32 {
        self.add_timer(None, after)
    }

    /// `set_timer`: the timer's number, none on a lost connection.
    pub fn set_timer(&mut self, ep: Ep, after: Duration) -> Option<u32> {
        let endpoint = &self.endpoints[ep];
        if endpoint.stale || endpoint.stream.is_over() {
            return None;
        }
        Some(self.add_timer(Some(ep), after))
    }

    fn add_timer(&mut self, ep: Option<Ep>, after: Duration) -> u32 {
        self.timer_numbers += 1;
        let number = self.timer_numbers;
        self.timers.push(TimerModel { number, ep, deadline: self.now.saturating_add(after), at: number, moved: false });
        number
    }

    /// `reset_timer`; whether there was one.
    pub fn reset_timer(&mut self, number: u32, after: Duration) -> bool {
        let deadline = self.now.saturating_add(after);
        self.timer_numbers += 1;
        let at = self.timer_numbers;
        match self.timers.iter_mut().find(|timer| timer.number == number) {
            Some(timer) => {
                (timer.deadline, timer.at, timer.moved) = (deadline, at, true);
                true
            }
            None => false,
        }
    }

    /// `cancel_timer`.
    pub fn cancel_timer(&mut self, number: u32) {
        self.timers.retain(|timer| timer.number != number);
    }

    /// `connection_made`: what became due before it may be told from now on.
    pub(super) fn hear_timers_of(&mut self, ep: Ep) {
        self.timers.iter_mut().filter(|timer| timer.ep == Some(ep)).for_each(|timer| timer.moved = true);
    }

    pub(super) fn cancel_timers_of(&mut self, ep: Ep) {
        self.timers.retain(|timer| timer.ep != Some(ep));
    }

    /// Timers that may run in this iteration: due, and somebody is there to hear them.
    fn due_timers(&self) -> impl Iterator<Item = &TimerModel> {
        self.timers.iter().filter(|timer| timer.deadline <= self.now && self.is_heard(timer.ep))
    }

    /// The first timer that must run in this iteration.
    pub(super) fn first_timer(&self) -> Option<TimerModel> {
        let must = self.due_timers().filter(|timer| timer.at <= self.timer_mark);
        must.min_by_key(|timer| (timer.deadline, timer.number)).copied()
    }

    /// LIFE-1: nothing is told before `connection_made`; decision 9: nothing but the loss once that is due.
    fn is_heard(&self, ep: Option<Ep>) -> bool {
        ep.is_none_or(|ep| {
            let state = self.endpoints[ep].stream.state();
            self.endpoints[ep].stream.is_made() && !matches!(state, State::Losing | State::Lost)
        })
    }

    pub(super) fn begin_timer(&mut self, turn: Turn) -> Result<(), Violation> {
        let is_it = |timer: &TimerModel| timer.ep.map_or(Turn::Later(timer.number), |ep| Turn::Timer(ep, timer.number)) == turn;
        let Some(&timer) = self.due_timers().find(|timer| is_it(timer)) else {
            return Err(Violation(format!("LOOP-31: {turn:?} is not due, or cancelled")));
        };
        // What was set after the wait waits; what was moved then may.
        ensure!(timer.at <= self.timer_mark || timer.moved, "LOOP-31: {turn:?} was set in this iteration");
        let before = |other: &TimerModel| {
            let order = other.deadline.cmp(&timer.deadline);
            order.is_lt() || order.is_eq() && !other.moved && !timer.moved && other.number < timer.number
        };
        let earlier = self.due_timers().find(|other| other.at <= self.timer_mark && before(other));
        ensure!(earlier.is_none(), "LOOP-31: {turn:?} where {earlier:?} is due first");
        self.cancel_timer(timer.number);
        Ok(())
    }

    /// When the next timer is due that may be heard.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.iter().filter(|timer| self.is_heard(timer.ep)).map(|timer| timer.deadline).min()
    }
}
