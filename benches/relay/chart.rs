//! The chart: what each relay's core costs under the main loads, as a ratio to ours, as SVG.
//!
//! ```text
//! load name   ▇▇▇▇▇▇▇▇▇▇▇ 1.21      one bar a relay; the line at 1 is this gateway
//!             ▇▇▇▇▇▇▇▇ 1.02
//! ```

use std::fmt::Write;

use super::peer::Kind;
use super::results::{Measured, Results};

/// The loads that are shown, if they were run.
const LOADS: [&str; 9] = [
    "echo 128 B, 1 connection",
    "echo 128 B, 64 connections",
    "echo 128 B, 1000 connections",
    "echo 128 B, 50 of 5000 connections busy",
    "echo 16 KiB, 16 connections",
    "bulk up, 4 flows",
    "bulk down, 4 flows",
    "bulk both ways, 4 flows",
    "connect + 64 B + close",
];

const WIDTH: f64 = 900.0;
/// Where bars begin, and how wide a ratio of 1 is.
const LEFT: f64 = 300.0;
const UNIT: f64 = 140.0;
/// Bars that would be longer end here, and say how long they are.
const RATIO_MAX: f64 = 3.75;
const BAR: f64 = 11.0;
const BAR_GAP: f64 = 2.0;
const GROUP_GAP: f64 = 16.0;
const TOP: f64 = 84.0;
const BOTTOM: f64 = 20.0;

/// Told apart by people who do not see all colours, too (Okabe and Ito).
const COLOURS: [(&str, &str); 7] = [
    ("floor-copy", "#999999"),
    ("floor-splice", "#56b4e9"),
    ("etcd", "#d55e00"),
    ("haproxy", "#0072b2"),
    ("haproxy-splice", "#cc79a7"),
    ("nginx", "#009e73"),
    ("rinetd", "#e69f00"),
];

/// The whole image.
pub fn svg(results: &Results) -> String {
    let relays: Vec<(usize, &str)> = (0..results.kinds.len())
        .filter_map(|index| Some((index, colour(results.kinds[index])?)))
        .collect();
    let loads: Vec<&Measured> = LOADS.iter().filter_map(|name| results.load(name)).collect();
    let group = relays.len() as f64 * (BAR + BAR_GAP) + GROUP_GAP;
    let bottom = TOP + loads.len() as f64 * group;
    let height = bottom + BOTTOM;
    let mut image = Image::new(height);
    image.text(20.0, 26.0, "title", "CPU of the whole core, as a ratio to etcd-gateway");
    image.text(20.0, 46.0, "", "the line at 1 is etcd-gateway; longer is dearer");
    legend(&mut image, results, &relays);
    for mark in [0.0, 1.0, 2.0, 3.0] {
        let x = LEFT + mark * UNIT;
        image.line(x, TOP - 4.0, bottom, if mark == 1.0 { "ours" } else { "grid" });
        image.text(x - 3.0, height - 6.0, "", &format!("{mark:.0}"));
    }
    for (number, load) in loads.iter().enumerate() {
        let top = TOP + number as f64 * group;
        let middle = top + (group - GROUP_GAP) / 2.0 + 4.0;
        image.text(20.0, middle, "load", &load.workload.name);
        for (bar, &(index, colour)) in relays.iter().enumerate() {
            let y = top + bar as f64 * (BAR + BAR_GAP);
            let Some(ratio) = load.ratio(index, results.ours()) else { continue };
            let width = ratio.min(RATIO_MAX) * UNIT;
            image.bar(y, width, colour);
            image.text(LEFT + width + 4.0, y + BAR - 2.0, "value", &format!("{ratio:.2}"));
        }
    }
    image.finish()
}

fn colour(kind: Kind) -> Option<&'static str> {
    COLOURS.iter().find(|(word, _)| *word == kind.word()).map(|(_, colour)| *colour)
}

fn legend(image: &mut Image, results: &Results, relays: &[(usize, &str)]) {
    let step = (WIDTH - 40.0) / relays.len().max(1) as f64;
    for (position, &(index, colour)) in relays.iter().enumerate() {
        let x = 20.0 + position as f64 * step;
        image.square(x, 58.0, colour);
        image.text(x + BAR + 5.0, 68.0, "", results.kinds[index].name());
    }
}

/// One element a line, so that a difference between two runs can be read.
struct Image {
    text: String,
}

/// Writing to a string cannot fail.
macro_rules! element {
    ($image:expr, $($argument:tt)*) => { let _ = writeln!($image.text, $($argument)*); };
}

impl Image {
    fn new(height: f64) -> Image {
        let mut image = Image { text: String::new() };
        let size = format!("width=\"{WIDTH}\" height=\"{height}\"");
        element!(image, "<svg xmlns=\"http://www.w3.org/2000/svg\" {size}");
        element!(image, " viewBox=\"0 0 {WIDTH} {height}\">");
        element!(image, "<style>");
        element!(image, "text {{ font: 12px sans-serif; fill: #333333 }}");
        element!(image, ".title {{ font: bold 16px sans-serif }}");
        element!(image, ".load {{ font: bold 12px sans-serif }}");
        element!(image, ".value {{ font: 10px sans-serif }}");
        element!(image, ".grid {{ stroke: #dddddd }}");
        element!(image, ".ours {{ stroke: #333333; stroke-width: 2 }}");
        element!(image, "</style>");
        element!(image, "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>");
        image
    }

    /// The texts are ours and contain nothing that SVG reads as its own.
    fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        element!(self, "<text x=\"{x:.0}\" y=\"{y:.0}\" class=\"{class}\">{text}</text>");
    }

    fn line(&mut self, x: f64, top: f64, bottom: f64, class: &str) {
        let ends = format!("x1=\"{x:.0}\" x2=\"{x:.0}\" y1=\"{top:.0}\" y2=\"{bottom:.0}\"");
        element!(self, "<line {ends} class=\"{class}\"/>");
    }

    fn bar(&mut self, y: f64, width: f64, colour: &str) {
        let place = format!("x=\"{LEFT:.0}\" y=\"{y:.0}\" width=\"{width:.1}\"");
        element!(self, "<rect {place} height=\"{BAR}\" fill=\"{colour}\"/>");
    }

    fn square(&mut self, x: f64, y: f64, colour: &str) {
        let place = format!("x=\"{x:.0}\" y=\"{y:.0}\" width=\"{BAR}\" height=\"{BAR}\"");
        element!(self, "<rect {place} fill=\"{colour}\"/>");
    }

    fn finish(mut self) -> String {
        element!(self, "</svg>");
        self.text
    }
}
