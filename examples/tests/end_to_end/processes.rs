//! The examples that start children.

use crate::kit::{Program, on_both};
use rustix::process::Signal;

#[test]
fn the_date_is_asked_of_a_child_and_printed() {
    //= PROC-1, PROC-4, PROC-7
    on_both(|backend| {
        let mut date = Program::example("subprocess_date", backend, &[]);
        assert!(date.status().success(), "{:?}", date.err.all());
        let lines = date.out.all();
        assert!(
            lines.len() == 1 && lines[0].len() > "Current date: ".len() && lines[0].starts_with("Current date: "),
            "{lines:?}"
        );
    });
}

#[test]
fn a_program_that_is_not_there_is_an_error() {
    //= PROC-1
    on_both(|backend| {
        let mut date = Program::with_path("/nonexistent", "subprocess_date", backend);
        date.fails("spawn: not found");
        assert!(date.out.all().is_empty());
    });
}

#[test]
fn services_are_started_again_and_ended_in_order() {
    //= PROC-11, PROC-13, PROC-16
    on_both(|backend| {
        let mut supervisor = Program::example("supervisor", backend, &[]);
        for line in ["ticker: tick", "stubborn: up"] {
            supervisor.out.wait_for(1, line);
        }
        supervisor.out.wait_for(3, "brief: exit code 3");
        supervisor.signal(Signal::TERM);
        assert!(supervisor.status().success(), "{:?}", supervisor.err.all());
        let lines = supervisor.out.all();
        let end: Vec<&str> = lines.iter().map(String::as_str).skip_while(|line| *line != "ending").collect();
        let of = |name: &str| end.iter().position(|line| line.starts_with(name) && !line.ends_with("tick")).unwrap();
        assert!(end.contains(&"stubborn: does not end") && end.contains(&"stubborn: ended by signal 9"), "{end:?}");
        assert!(end.contains(&"ticker: ended by signal 15"), "{end:?}");
        assert!(of("stubborn: does not end") < of("ticker: ended by signal 15"), "{end:?}");
        assert!(supervisor.err.all().is_empty(), "{:?}", supervisor.err.all());
    });
}
