//! The small world, in full.

use plimsoll_conformance::harness::Violation;
use plimsoll_conformance::machines::connect;
use plimsoll_conformance::machines::small_world::{self, Bounds};
use plimsoll_conformance::model::Kind;

#[test]
fn machine_and_model_agree_in_every_state_that_tiny_operations_lead_to() -> Result<(), Violation> {
    //= LIFE-1, LIFE-2, LIFE-3, LIFE-16, READ-7, READ-12, WRITE-8, WRITE-9, WRITE-12, FLOW-8
    //= EOF-1, EOF-2, EOF-3, EOF-4, EOF-8, CLOSE-3, CLOSE-4
    let world = small_world::explore(Bounds::SMALL)?;
    println!("small world: {world:?}");
    // Nothing is beyond: this holds for runs of any length. Another count is another contract, and needs a reason.
    assert!(world.closed);
    assert_eq!(world.models, 5052);
    Ok(())
}

#[test]
fn machine_and_model_agree_in_the_small_worlds_of_pipes() -> Result<(), Violation> {
    //= PIPE-1, PIPE-2, PIPE-3, PIPE-4, PIPE-6, PIPE-7, PIPE-9, PIPE-10, PIPE-12, RUST-5
    for (kind, models) in [(Kind::ReadPipe, 127), (Kind::WritePipe, 524)] {
        let world = small_world::explore(Bounds { kind, ..Bounds::SMALL })?;
        println!("small world of {kind:?}: {world:?}");
        assert!(world.closed);
        assert_eq!(world.models, models);
    }
    Ok(())
}

#[test]
fn machine_and_model_agree_in_a_world_where_the_order_of_bytes_shows() -> Result<(), Violation> {
    //= WRITE-1, WRITE-3, RUST-4, RUST-6, CLOSE-3, CLOSE-4
    if std::env::var_os("DEEP").is_none() {
        println!("skipped: a minute or two; set DEEP=1");
        return Ok(());
    }
    let world = small_world::explore(Bounds::LARGE)?;
    println!("large world: {world:?}");
    assert!(world.closed);
    assert_eq!(world.models, 22_506);
    Ok(())
}

#[test]
fn machine_and_model_agree_after_every_sequence_of_five_operations() -> Result<(), Violation> {
    //= RUST-6, LIFE-2, EOF-5, EOF-10, CLOSE-1, CLOSE-2, CLOSE-5, CLOSE-6
    let count = small_world::sequences(5)?;
    println!("sequences of five: {count}");
    assert_eq!(count, 106_513);
    Ok(())
}

#[test]
fn connector_and_model_agree_in_every_state_of_every_short_list_of_addresses() -> Result<(), Violation> {
    //= LOOP-5, LOOP-6, LOOP-7, LOOP-9, LIFE-12, RUST-6
    let world = connect::explore(3)?;
    println!("short lists: {world:?}");
    // Another count is another contract, and needs a reason.
    assert_eq!((world.openings, world.states), (225, 22_049));
    Ok(())
}
