//! Every machine against its model, by many seeds.

use plimsoll_conformance::harness::{self, Failure, Violation};
use plimsoll_conformance::machines;
use plimsoll_conformance::machines::stream::Mark;

#[test]
fn a_stream_transport_does_what_the_tables_say() -> Result<(), Failure> {
    //= LIFE-1, LIFE-2, LIFE-3, LIFE-4, LIFE-16, LIFE-17, READ-5, READ-6, READ-7, READ-9, READ-12, READ-13
    //= WRITE-1, WRITE-3, WRITE-4, WRITE-5, WRITE-7, WRITE-8, WRITE-9, WRITE-10, WRITE-12, RUST-3, RUST-4, RUST-6, RUST-7
    //= FLOW-6, FLOW-7, FLOW-8, FLOW-9, FLOW-10, FLOW-11, FLOW-12, FLOW-13, FLOW-14, FLOW-15, FLOW-16, FLOW-17
    //= EOF-1, EOF-2, EOF-3, EOF-4, EOF-5, EOF-6, EOF-8, EOF-9, EOF-10, EOF-11, EOF-12
    //= CLOSE-1, CLOSE-2, CLOSE-3, CLOSE-4, CLOSE-5, CLOSE-6, CLOSE-12, RUST-8
    let figures = harness::seeds("stream", 200_000, machines::stream::lifetime)?;
    println!("stream: {figures}");
    let missed: Vec<_> = Mark::ALL.into_iter().filter(|mark| !mark.is_in(figures.marks)).collect();
    assert!(missed.is_empty() || figures.runs < 1000, "never reached: {missed:?}");
    Ok(())
}

#[test]
fn a_pipe_does_what_the_tables_say_of_its_direction() -> Result<(), Failure> {
    //= PIPE-1, PIPE-2, PIPE-3, PIPE-4, PIPE-6, PIPE-7, PIPE-8, PIPE-9, PIPE-10, PIPE-12, RUST-5, RUST-8
    let figures = harness::seeds("pipe", 100_000, machines::stream::pipe_lifetime)?;
    println!("pipe: {figures}");
    let missed: Vec<_> = Mark::OF_PIPES.into_iter().filter(|mark| !mark.is_in(figures.marks)).collect();
    assert!(missed.is_empty() || figures.runs < 1000, "never reached: {missed:?}");
    Ok(())
}

#[test]
fn a_subprocess_tells_its_end_last_whatever_comes_first() -> Result<(), Failure> {
    //= PROC-2, PROC-5, PROC-6, PROC-7, PROC-8, PROC-13, PROC-15, PROC-17, RUST-8
    let figures = harness::seeds("process", 200_000, machines::process::lifetime)?;
    println!("process: {figures}");
    Ok(())
}

#[test]
fn a_subprocess_and_its_model_agree_in_every_state_and_every_order() -> Result<(), Violation> {
    //= PROC-2, PROC-5, PROC-6, PROC-7, PROC-8, PROC-9, PROC-13, PROC-15, PROC-17
    let children = machines::process::explore()?;
    println!("children: {children:?}");
    assert_eq!(children.states, 17_938);
    let orders = machines::process::orders()?;
    println!("orders: {orders}");
    assert_eq!(orders, 3 * 720 * 64);
    Ok(())
}

#[test]
fn a_datagram_endpoint_does_what_its_rules_say() -> Result<(), Failure> {
    //= DGRAM-1, DGRAM-3, DGRAM-4, DGRAM-5, DGRAM-6, DGRAM-7, DGRAM-8, DGRAM-9, DGRAM-10, DGRAM-11, DGRAM-12, DGRAM-14, DGRAM-15
    //= RUST-3, RUST-4, RUST-8
    let figures = harness::seeds("datagram", 200_000, machines::datagram::lifetime)?;
    println!("datagram: {figures}");
    Ok(())
}

#[test]
fn a_datagram_endpoint_and_its_model_agree_in_every_state_of_a_small_world() -> Result<(), Violation> {
    //= DGRAM-1, DGRAM-4, DGRAM-5, DGRAM-6, DGRAM-7, DGRAM-8, DGRAM-9, DGRAM-10, DGRAM-12, DGRAM-15
    let endpoints = machines::datagram::explore()?;
    println!("endpoints: {endpoints:?}");
    Ok(())
}

#[test]
fn a_send_queue_gives_back_what_was_pushed_in_order() -> Result<(), Failure> {
    //= WRITE-1, WRITE-3, WRITE-5, WRITE-7, WRITE-12
    let figures = harness::seeds("queue", 20_000, machines::queue::lifetime)?;
    println!("queue: {figures}");
    Ok(())
}

#[test]
fn a_write_flow_pauses_above_high_and_resumes_at_low() -> Result<(), Failure> {
    //= RUST-3, RUST-4, FLOW-6, FLOW-7, FLOW-8, FLOW-9, FLOW-10, FLOW-11, FLOW-15, FLOW-16
    let figures = harness::seeds("flow", 200_000, machines::flow::lifetime)?;
    println!("flow: {figures}");
    Ok(())
}

#[test]
fn a_read_gate_opens_when_the_last_reason_is_gone() -> Result<(), Failure> {
    //= READ-7, READ-9, EOF-1
    let figures = harness::seeds("gate", 200_000, machines::gate::lifetime)?;
    println!("gate: {figures}");
    Ok(())
}

#[test]
fn a_connector_starts_what_is_due_and_cancels_what_loses() -> Result<(), Failure> {
    //= LOOP-5, LOOP-6, LOOP-7, LOOP-8, LOOP-9, LIFE-12, RUST-6, RUST-12
    let figures = harness::seeds("connect", 100_000, machines::connect::lifetime)?;
    println!("connect: {figures}");
    let missed: Vec<_> = machines::connect::Mark::ALL.into_iter().filter(|mark| !mark.is_in(figures.marks)).collect();
    assert!(missed.is_empty() || figures.runs < 1000, "never reached: {missed:?}");
    Ok(())
}
