//! The figures as a table.

use super::bars::Standing;
use super::record::Record;

/// Every measurement, then how we stand at the bars.
pub fn table(records: &[Record], standings: &[Standing]) -> String {
    let mut rows = vec![
        [
            "model",
            "engine",
            "prefill",
            "decode",
            "a token reads",
            "of the bandwidth",
            "loaded in",
            "memory",
        ]
        .map(str::to_owned),
    ];
    rows.extend(records.iter().map(row));
    let mut text = aligned(&rows, 2);
    if !standings.is_empty() {
        let mut rows =
            vec![["model", "figure", "ratio", "wanted", "", "of what to what"].map(str::to_owned)];
        rows.extend(standings.iter().map(|standing| {
            [
                standing.model.clone(),
                standing.figure.to_owned(),
                format!("{:.2}", standing.ratio),
                format!("{}", standing.at_least),
                if standing.met { "met" } else { "not met" }.to_owned(),
                standing.what.clone(),
            ]
        }));
        text += "\n";
        text += &aligned(&rows, 2);
    }
    text
}

fn row(record: &Record) -> [String; 8] {
    let unknown = || "?".to_owned();
    let memory = record.peak_bytes.map_or_else(unknown, |bytes| megabytes(bytes as f64));
    [
        record.model.clone(),
        record.title(),
        format!("{:.2} tok/s ({})", record.prefill_tps, record.prompt_tokens),
        format!("{:.2} tok/s ({})", record.decode_tps, record.generated_tokens),
        record.bytes_per_token.map_or_else(unknown, |bytes| megabytes(bytes as f64)),
        match (record.bandwidth_share, record.read_bandwidth) {
            (Some(share), Some(all)) => format!("{:.0} % of {:.1} GB/s", share * 100.0, all / 1e9),
            _ => unknown(),
        },
        format!("{:.2} s", record.load_ms / 1e3),
        match record.tab_bytes {
            Some(tab) if record.peak_bytes != Some(tab) => {
                format!("{memory} (tab {})", megabytes(tab as f64))
            }
            _ => memory,
        },
    ]
}

fn megabytes(bytes: f64) -> String {
    format!("{:.0} MB", bytes / 1e6)
}

/// Columns side by side; the first `left` ones and the last begin at the same place, the others end
/// there.
pub fn aligned<const N: usize>(rows: &[[String; N]], left: usize) -> String {
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
            if column < left || column + 1 == N {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            }
        });
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["a", "1", "x"], ["bcd", "234", "yz"]].map(|row| row.map(str::to_owned));
        assert_eq!(aligned(&rows, 1), "a      1  x\nbcd  234  yz\n");
    }
}
