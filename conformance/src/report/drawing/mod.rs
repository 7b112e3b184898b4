//! One run, drawn: the peer above, the transport with its queue in the middle, the application below; time runs to the right.
//!
//! The order of the record is the axis: everything has the room that its words need, and nothing overlaps.

mod layout;
mod scene;
mod svg;

use crate::scenario::timeline::Moment;

/// A drawing of these moments as two pieces of SVG side by side: the names of the rows, and what happens.
pub(super) fn draw(moments: &[Moment], title: &str) -> String {
    let scene = scene::Scene::new(moments);
    let places = layout::Places::new(&scene);
    svg::write(&scene, &places, title)
}
