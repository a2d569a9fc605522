//! Reading models.
#![allow(clippy::unwrap_used)]
use phi_wasm::weights::{Bits, Checkpoint, DirSource};
use pollster::block_on;

#[test]
fn opens_the_tiny_model() {
    let source = DirSource::open("tests/golden/tiny-phi").unwrap();
    let model = block_on(Checkpoint::open(source)).unwrap();
    println!("{:?} {:?} {}", model.config, model.stop_tokens, model.weight_bytes());
    for (name, shape) in model.config.matrices() {
        for bits in [Bits::Four, Bits::ThirtyTwo] {
            let mut rows = 0;
            block_on(model.panels(&name, shape, bits, &mut |first, panel| {
                assert_eq!(first, rows);
                rows += panel.rows;
                Ok(())
            }))
            .unwrap();
            assert_eq!(rows, shape[0]);
        }
    }
}
