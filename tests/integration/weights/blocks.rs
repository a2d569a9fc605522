//! Every element type against what the Python package `gguf` makes of the same bytes.

use half::f16;
use phi_wasm::error::Code;
use phi_wasm::layout::Kind;
use phi_wasm::layout::blocks::{pack_row, values};
use phi_wasm::layout::element_type::ElementType;
use phi_wasm::layout::panel::Panel;
use phi_wasm::layout::quant::{KINDS, OTHERS};
use safetensors::SafeTensors;

use super::make::{BLOCKS, floats};

const COLS: usize = 512;

/// How far a weight may be from what the file means, given the 32 weights of its group.
enum Error {
    None,
    /// A 253rd of the group's largest weight.
    Rounded,
    /// Two 253rds: rounded to f16 besides.
    F16,
}

const TABLE: &[(ElementType, &str, Option<Kind>, Kind, Error)] = &[
    // stored, its name, the kind it becomes by itself, the kind it is packed as here
    (ElementType::F32, "F32", None, Kind::F32, Error::None),
    (ElementType::F16, "F16", None, Kind::F32, Error::None),
    (ElementType::F16, "F16", None, Kind::F16, Error::None),
    (ElementType::BF16, "BF16", None, Kind::F32, Error::None),
    (ElementType::BF16, "BF16", None, Kind::F16, Error::F16),
    (ElementType::F32, "F32", None, Kind::F16, Error::F16),
    (ElementType::Q4_0, "Q4_0", Some(Kind::Q4), Kind::Q4, Error::None),
    (ElementType::Q4_0, "Q4_0", Some(Kind::Q4), Kind::Q4Min, Error::None),
    (ElementType::Q4_0, "Q4_0", Some(Kind::Q4), Kind::Q8, Error::None),
    (ElementType::Q4_1, "Q4_1", Some(Kind::Q4Min), Kind::Q4Min, Error::None),
    (ElementType::Q4_1, "Q4_1", Some(Kind::Q4Min), Kind::Q8, Error::Rounded),
    (ElementType::Q5_0, "Q5_0", Some(Kind::Q5), Kind::Q5, Error::None),
    (ElementType::Q5_0, "Q5_0", Some(Kind::Q5), Kind::Q8, Error::None),
    (ElementType::Q5_1, "Q5_1", Some(Kind::Q5Min), Kind::Q5Min, Error::None),
    (ElementType::Q5_1, "Q5_1", Some(Kind::Q5Min), Kind::Q8, Error::Rounded),
    (ElementType::Q8_0, "Q8_0", Some(Kind::Q8), Kind::Q8, Error::None),
    (ElementType::Q2K, "Q2_K", Some(Kind::Q2K), Kind::Q2K, Error::None),
    (ElementType::Q2K, "Q2_K", Some(Kind::Q2K), Kind::Q8, Error::Rounded),
    (ElementType::Q3K, "Q3_K", Some(Kind::Q3K), Kind::Q3K, Error::None),
    (ElementType::Q3K, "Q3_K", Some(Kind::Q3K), Kind::Q8, Error::Rounded),
    (ElementType::Q3K, "Q3_K", Some(Kind::Q3K), Kind::F32, Error::None),
    (ElementType::Q4K, "Q4_K", Some(Kind::Q4K), Kind::Q4K, Error::None),
    (ElementType::Q4K, "Q4_K", Some(Kind::Q4K), Kind::Q8, Error::Rounded),
    (ElementType::Q5K, "Q5_K", Some(Kind::Q5K), Kind::Q5K, Error::None),
    (ElementType::Q5K, "Q5_K", Some(Kind::Q5K), Kind::Q8, Error::Rounded),
    (ElementType::Q6K, "Q6_K", Some(Kind::Q6K), Kind::Q6K, Error::None),
    (ElementType::Q6K, "Q6_K", Some(Kind::Q6K), Kind::Q8, Error::Rounded),
    (ElementType::Q6K, "Q6_K", Some(Kind::Q6K), Kind::F32, Error::None),
    (ElementType::IQ4NL, "IQ4_NL", Some(Kind::IQ4NL), Kind::IQ4NL, Error::None),
    (ElementType::IQ4NL, "IQ4_NL", Some(Kind::IQ4NL), Kind::Q8, Error::Rounded),
    (ElementType::IQ4XS, "IQ4_XS", Some(Kind::IQ4XS), Kind::IQ4XS, Error::None),
    (ElementType::IQ4XS, "IQ4_XS", Some(Kind::IQ4XS), Kind::Q8, Error::Rounded),
    (ElementType::TQ1_0, "TQ1_0", Some(Kind::Q2K), Kind::Q2K, Error::None),
    (ElementType::TQ2_0, "TQ2_0", Some(Kind::Q2K), Kind::Q2K, Error::None),
    (ElementType::MXFP4, "MXFP4", Some(Kind::FP4), Kind::FP4, Error::None),
    (ElementType::MXFP4, "MXFP4", Some(Kind::FP4), Kind::Q8, Error::Rounded),
];

#[test]
fn rows_become_what_the_table_says() {
    let golden = SafeTensors::deserialize(BLOCKS).unwrap();
    for (stored, name, natural, kind, error) in TABLE {
        assert_eq!(&stored.quantised_kind(), natural, "{name}");
        let bytes = golden.tensor(&format!("{name}.bytes")).unwrap();
        let row_bytes = bytes.shape()[1];
        assert_eq!(stored.bytes(COLS as u64), Some(row_bytes as u64), "{name}");
        let expected = floats(&golden, &format!("{name}.values"));
        assert_eq!(values(stored, bytes.data()).unwrap(), expected, "{name}");

        // Odd rows of a quad, so that the others must stay zero.
        let mut panel = Panel::new(*kind, 4, COLS);
        for (row, bytes) in [1, 3].into_iter().zip(bytes.data().chunks_exact(row_bytes)) {
            pack_row(stored, bytes, &mut panel, row).unwrap();
        }
        assert_eq!(panel.row(0), vec![0.0; COLS], "{name} as {kind:?}");
        for (row, expected) in [1, 3].into_iter().zip(expected.chunks_exact(COLS)) {
            for (group, (found, expected)) in
                panel.row(row).chunks_exact(32).zip(expected.chunks_exact(32)).enumerate()
            {
                let bound = bound(error, expected);
                for (column, (found, expected)) in found.iter().zip(expected).enumerate() {
                    let off = (found - expected).abs();
                    assert!(
                        off <= bound,
                        "{name} as {kind:?}, row {row} column {}: {found} for {expected}",
                        group * 32 + column
                    );
                }
            }
        }
    }
}

fn bound(error: &Error, group: &[f32]) -> f32 {
    let largest = group.iter().fold(0.0f32, |most, value| most.max(value.abs()));
    match error {
        Error::None => 0.0,
        Error::Rounded => largest / 253.0,
        Error::F16 => largest / 2048.0,
    }
}

#[test]
fn what_only_files_have_is_made_of_nothing_else() {
    let made = |kind: &Kind| KINDS.contains(kind) || OTHERS.contains(kind);
    for kind in Kind::ALL.into_iter().filter(|kind| kind.has_scales() && !made(kind)) {
        let mut panel = Panel::new(kind, 1, COLS);
        let error = pack_row(&ElementType::F32, &[0; 4 * COLS], &mut panel, 0).unwrap_err();
        assert_eq!(error.code, Code::Internal, "{kind:?}: {error}");
    }
}

#[test]
fn rows_of_zeros_stay_zero() {
    for (stored, name, _, kind, _) in TABLE {
        let bytes = vec![0; stored.bytes(COLS as u64).unwrap() as usize];
        let mut panel = Panel::new(*kind, 4, COLS);
        pack_row(stored, &bytes, &mut panel, 2).unwrap();
        assert_eq!(panel.row(2), vec![0.0; COLS], "{name} as {kind:?}");
    }
}

#[test]
fn floats_are_quantised_as_asked() {
    let golden = SafeTensors::deserialize(BLOCKS).unwrap();
    let bytes = golden.tensor("F32.bytes").unwrap();
    let expected = floats(&golden, "F32.values");
    for (kind, steps) in [
        (Kind::Q2K, 3.0),
        (Kind::Q3, 6.0),
        (Kind::Q3K, 6.0),
        (Kind::Q4, 14.0),
        (Kind::Q4Min, 15.0),
        (Kind::Q5, 30.0),
        (Kind::Q6K, 62.0),
        (Kind::Q8, 250.0),
    ] {
        let mut panel = Panel::new(kind, 2, COLS);
        pack_row(&ElementType::F32, &bytes.data()[..COLS * 4], &mut panel, 0).unwrap();
        for (found, expected) in panel.row(0).chunks_exact(32).zip(expected.chunks_exact(32)) {
            let largest = expected.iter().fold(0.0f32, |most, value| most.max(value.abs()));
            let squares: f32 = found
                .iter()
                .zip(expected)
                .map(|(found, expected)| (found - expected).powi(2))
                .sum();
            // Rounding errors are spread evenly over a step: their root mean square is a step /
            // sqrt(12).
            let step = 2.0 * largest / steps;
            assert!((squares / 32.0).sqrt() < 1.5 * step / 12f32.sqrt(), "{kind:?}");
        }
    }
}

#[test]
fn types_without_weights_are_refused() {
    for stored in [ElementType::U8, ElementType::Other("IQ1_S".to_owned())] {
        let error = pack_row(&stored, &[0; 64], &mut Panel::new(Kind::F32, 1, 32), 0).unwrap_err();
        assert_eq!(error.code.as_str(), "unsupported-tensor");
        assert!(error.message.contains(stored.name()), "{error}");
    }
}

#[test]
fn a_scale_that_is_no_number_is_found_whatever_it_becomes() {
    let golden = SafeTensors::deserialize(BLOCKS).unwrap();
    // Where a block of each type has its f16 numbers.
    let places: &[(ElementType, &str, &[usize])] = &[
        (ElementType::Q4_0, "Q4_0", &[0]),
        (ElementType::Q4_1, "Q4_1", &[0, 2]),
        (ElementType::Q5_0, "Q5_0", &[0]),
        (ElementType::Q5_1, "Q5_1", &[0, 2]),
        (ElementType::Q8_0, "Q8_0", &[0]),
        (ElementType::Q2K, "Q2_K", &[80, 82]),
        (ElementType::Q3K, "Q3_K", &[108]),
        (ElementType::Q4K, "Q4_K", &[0, 2]),
        (ElementType::Q5K, "Q5_K", &[0, 2]),
        (ElementType::Q6K, "Q6_K", &[208]),
        (ElementType::IQ4NL, "IQ4_NL", &[0]),
        (ElementType::IQ4XS, "IQ4_XS", &[0]),
        (ElementType::TQ1_0, "TQ1_0", &[52]),
        (ElementType::TQ2_0, "TQ2_0", &[64]),
    ];
    for (stored, name, places) in places {
        let tensor = golden.tensor(&format!("{name}.bytes")).unwrap();
        let row = &tensor.data()[..tensor.shape()[1]];
        let (_, block) = stored.block().unwrap();
        let own = stored.quantised_kind().filter(|kind| !KINDS.contains(kind));
        for kind in KINDS.into_iter().chain([Kind::F16, Kind::F32]).chain(own) {
            assert!(
                pack_row(stored, row, &mut Panel::new(kind, 1, COLS), 0).is_ok(),
                "{name} as {kind:?}"
            );
            for (at, value) in places.iter().flat_map(|&at| {
                [f16::NAN, f16::INFINITY, f16::NEG_INFINITY].map(|value| (at, value))
            }) {
                let mut row = row.to_vec();
                let at = row.len() - block + at;
                row[at..at + 2].copy_from_slice(&value.to_le_bytes());
                let error = pack_row(stored, &row, &mut Panel::new(kind, 1, COLS), 0).unwrap_err();
                assert_eq!(
                    error.code,
                    Code::Malformed,
                    "{name} as {kind:?}, {value} at {at}: {error}"
                );
            }
        }
    }
}

#[test]
fn powers_of_two_that_halves_do_not_hold_are_refused_unless_all_is_zero() {
    let group = |power: u8, code: u8| [[power].as_slice(), &[code << 4 | code; 16]].concat();
    for (power, code, expected) in [
        (104, 7, Some(12.0 * 2f32.powi(-24))),
        (143, 15, Some(-12.0 * 2f32.powi(15))),
        (128, 1, Some(1.0)),
        (103, 1, None),
        (144, 1, None),
        (255, 1, None),
        (0, 8, Some(0.0)),
    ] {
        let mut panel = Panel::new(Kind::FP4, 1, 32);
        let packed = pack_row(&ElementType::MXFP4, &group(power, code), &mut panel, 0);
        match expected {
            Some(value) => {
                assert!(packed.is_ok(), "{power}");
                assert_eq!(panel.row(0), vec![value; 32], "{power}");
            }
            None => assert_eq!(packed.unwrap_err().code, Code::Malformed, "{power}"),
        }
    }
}
