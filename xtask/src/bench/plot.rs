//! The figures as a picture: one panel of bars for each model and figure, the fastest on top.

use std::fmt::Write;

use super::bars::Figure;
use super::machine::Machine;
use super::record::Record;

const WIDTH: usize = 1000;
const MARGIN: usize = 24;
/// Where the bars begin: labels stand to the left.
const LABELS: usize = 330;
/// Where the longest bar ends: figures stand to the right.
const LONGEST: usize = 860;
const ROW: usize = 24;
const BAR: usize = 16;
const HEADING: usize = 44;
const INK: &str = "#1f2328";
const PALE: &str = "#6b7280";

/// An SVG file that needs nothing else.
pub fn svg(records: &[Record], machine: &Machine) -> String {
    let mut body = String::new();
    let mut y = MARGIN + 26;
    text(&mut body, (MARGIN, y - 8), 17, "600", INK, "start", "Tokens a second");
    text(&mut body, (WIDTH - MARGIN, y - 8), 12, "400", PALE, "end", &machine.sentence());
    for model in models(records) {
        for figure in [Figure::Decode, Figure::Prefill] {
            let mut rows: Vec<&Record> =
                records.iter().filter(|record| record.model == model).collect();
            rows.sort_by(|one, other| figure.of(other).total_cmp(&figure.of(one)));
            y = panel(&mut body, y, model, figure, &rows);
        }
    }
    let height = y + MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"system-ui, sans-serif\">\n<rect width=\"100%\" height=\"100%\" \
             fill=\"#fff\"/>\n{body}</svg>\n"
    )
}

/// In the order in which they were measured.
fn models(records: &[Record]) -> Vec<&str> {
    let mut models: Vec<&str> = Vec::new();
    for record in records {
        if !models.contains(&&*record.model) {
            models.push(&record.model);
        }
    }
    models
}

fn panel(body: &mut String, top: usize, model: &str, figure: Figure, rows: &[&Record]) -> usize {
    let tokens = rows.first().map_or(0, |row| match figure {
        Figure::Prefill => row.prompt_tokens,
        Figure::Decode => row.generated_tokens,
    });
    let heading = format!("{model}: {} of {tokens} tokens", figure.name());
    text(body, (MARGIN, top + HEADING - 12), 14, "600", INK, "start", &heading);
    let most = rows.iter().map(|row| figure.of(row)).fold(f64::MIN_POSITIVE, f64::max);
    for (number, row) in rows.iter().enumerate() {
        let y = top + HEADING + number * ROW;
        let value = figure.of(row);
        let length = (value / most * (LONGEST - LABELS) as f64).max(1.0);
        let baseline = y + BAR - 4;
        text(body, (LABELS - 10, baseline), 12, "400", INK, "end", &row.title());
        let _ = writeln!(
            body,
            "<rect x=\"{LABELS}\" y=\"{y}\" width=\"{length:.1}\" height=\"{BAR}\" rx=\"2\" \
                fill=\"{}\"/>",
            colour(row)
        );
        let written = if value < 10.0 { format!("{value:.2}") } else { format!("{value:.1}") };
        text(body, (LABELS + length as usize + 8, baseline), 12, "400", INK, "start", &written);
    }
    top + HEADING + rows.len() * ROW
}

/// Ours, darker where it runs in a browser; the peers'.
fn colour(record: &Record) -> &'static str {
    match (&*record.engine, &*record.host) {
        ("phi-wasm", "chromium") => "#1a7f64",
        ("phi-wasm", _) => "#74c3a9",
        ("wllama", _) => "#d97757",
        _ => "#9aa4b2",
    }
}

fn text(
    body: &mut String,
    (x, y): (usize, usize),
    size: usize,
    weight: &str,
    colour: &str,
    anchor: &str,
    text: &str,
) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        body,
        "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" font-weight=\"{weight}\" \
            fill=\"{colour}\" text-anchor=\"{anchor}\">{text}</text>"
    );
}
