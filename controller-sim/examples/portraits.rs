//! Writes one picture with the first faces of the demo, to look at: `cargo run -p controller-sim --example portraits
//! FILE.png`.

use controller_sim::identity::{Script, identity};
use controller_sim::portrait::portrait;
use controller_sim::{Scenario, people};
use image::imageops::{self, FilterType};
use image::{ImageFormat, RgbImage};

const COLUMNS: u32 = 10;
const ROWS: u32 = 4;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).ok_or("give the name of the file to write")?;
    let scenario = Scenario::demo();
    let everybody = people(&scenario);
    let faces = everybody.iter().step_by(8).filter_map(|person| identity(&scenario, person, Script::Latin));
    let (wide, high) = (150, 200);
    let mut sheet = RgbImage::new(wide * COLUMNS, high * ROWS);
    for (place, who) in (0..COLUMNS * ROWS).zip(faces) {
        let face = image::load_from_memory_with_format(&portrait(&who.look())?, ImageFormat::Jpeg)?.to_rgb8();
        let face = imageops::resize(&face, wide, high, FilterType::Triangle);
        let (x, y) = (place % COLUMNS * wide, place / COLUMNS * high);
        imageops::replace(&mut sheet, &face, x.into(), y.into());
    }
    sheet.save_with_format(file, ImageFormat::Png)?;
    Ok(())
}
