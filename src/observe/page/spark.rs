//! Spark lines: the path (SVG, 9.3) of a line in a box 299 wide and 20 high, a sample a unit, the
//! latest one at the right. Coarser than those of `script.js` and relative, since each costs bytes
//! of the page.

use std::fmt::{self, Display};

use crate::config::HISTORY_SAMPLES;

/// Samples for which one point is drawn: the highest of them.
const SAMPLES_PER_POINT: usize = 5;
/// The lowest point, and the height of the highest one above it.
const FLOOR: i64 = 19;
const HEIGHT: u64 = 18;
/// Below the box.
const BELOW: i64 = 25;

/// A line through samples, the oldest one first.
pub(super) struct Line<I>(pub I);

impl<I: Iterator<Item = u64> + Clone> Display for Line<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let highest = self.0.clone().max().unwrap_or(0).max(1);
        let count = self.0.clone().count();
        let first = HISTORY_SAMPLES.saturating_sub(count);
        // Up from below the box, and down to there: what is under the line is an area.
        write!(f, "M{first} {BELOW}{}", if count == 0 { "" } else { "l" })?;
        let (mut of_point, mut from) = (0, Point { x: first, y: BELOW });
        for (index, value) in self.0.clone().enumerate() {
            of_point = value.max(of_point);
            let left = count - 1 - index;
            if left.is_multiple_of(SAMPLES_PER_POINT) {
                let height = u128::from(of_point) * u128::from(HEIGHT) / u128::from(highest);
                let to = Point { x: first + index, y: FLOOR - height as i64 };
                from.write_step(to, f)?;
                (of_point, from) = (0, to);
            }
        }
        write!(f, "V{BELOW}")
    }
}

#[derive(Clone, Copy)]
struct Point {
    x: usize,
    y: i64,
}

impl Point {
    /// The way to a point at the right. A sign separates numbers, too.
    fn write_step(self, to: Point, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (right, down) = (to.x - self.x, to.y - self.y);
        let between = if down < 0 { "" } else { " " };
        write!(f, "{right}{between}{down} ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(samples: &[u64]) -> String {
        Line(samples.iter().copied()).to_string()
    }

    #[test]
    fn a_line_shows_the_highest_of_each_five_samples_up_to_the_latest() {
        for (samples, want) in [
            (&[][..], "M300 25V25"),
            (&[0], "M299 25l0-6 V25"),
            (&[u64::MAX, 0], "M298 25l1-24 V25"),
            (&[4, 0, 0, 0, 8, 0], "M294 25l0-15 5-9 V25"),
            (&[1, 0, 0, 0, 0, 0], "M294 25l0-24 5 18 V25"),
        ] {
            assert_eq!(line(samples), want);
        }
        let long = line(&vec![u64::MAX; HISTORY_SAMPLES]);
        assert!(long.len() < 300, "{}: {long}", long.len());
    }
}
