//! What somebody looks like, drawn by lot from a seed: traits only, nothing is painted here.

use crate::identity::Sex;
use crate::portrait::canvas::{Colour, mix};

/// How the hair is worn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hair {
    /// Short all round.
    Short,
    /// Short, parted at the side.
    Parted,
    /// Very short.
    Cropped,
    /// Receding at the temples.
    Receding,
    /// At the sides only.
    Sides,
    /// None.
    None,
    /// Short curls.
    Curls,
    /// Short with a fringe.
    Pixie,
    /// To the chin.
    Bob,
    /// Over the shoulders, parted in the middle.
    Long,
    /// Over the shoulders in waves, with a fringe.
    Waves,
    /// Tied to a knot.
    Knot,
    /// A tail over one shoulder.
    Tail,
    /// Much and curly.
    Cloud,
    /// Under a scarf.
    Scarf,
}

/// What is worn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dress {
    /// A shirt without collar.
    Tee,
    /// A shirt with collar.
    Shirt,
    /// A pullover with a broad neck.
    Pullover,
    /// A pullover that covers the neck.
    Roll,
    /// A jacket over a shirt.
    Jacket,
    /// A white coat.
    Coat,
    /// A nurse's tunic.
    Tunic,
    /// A reflecting vest.
    Vest,
}

/// Around the mouth and chin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beard {
    /// Shaved.
    None,
    /// Some days old.
    Stubble,
    /// A full beard.
    Full,
    /// Around the mouth.
    Round,
    /// A moustache.
    Moustache,
}

/// Before the eyes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Glasses {
    /// None.
    None,
    /// Round ones.
    Round,
    /// Broad ones.
    Broad,
}

/// How the mouth is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mouth {
    /// Quiet.
    Calm,
    /// A smile.
    Smile,
    /// A smile that shows teeth.
    Laugh,
}

/// Everything that is painted.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// Man or woman.
    pub sex: Sex,
    /// Years.
    pub age: u8,
    /// The skin.
    pub skin: Colour,
    /// The hair, and its colour.
    pub hair: (Hair, Colour),
    /// The eyes.
    pub eyes: Colour,
    /// Eyebrows: their thickness and how high they are arched.
    pub brows: (f32, f32),
    /// Half the width of the face at cheeks and jaw, and of the chin.
    pub face: (f32, f32, f32),
    /// How far apart the eyes are, from the middle.
    pub eyes_apart: f32,
    /// Half the height of an eye.
    pub eyes_open: f32,
    /// Length and width of the nose.
    pub nose: (f32, f32),
    /// The mouth, and half its width.
    pub mouth: (Mouth, f32),
    /// The beard.
    pub beard: Beard,
    /// Glasses, and the colour of their frame.
    pub glasses: (Glasses, Colour),
    /// Freckles.
    pub freckles: bool,
    /// Earrings.
    pub earrings: bool,
    /// Half the width of the shoulders.
    pub shoulders: f32,
    /// The clothes, their colour, and that of what is under them.
    pub dress: (Dress, Colour, Colour),
    /// Behind everything.
    pub ground: Colour,
    /// Whether the hair's parting is on the left.
    pub left_parted: bool,
}

const SKINS: [Colour; 9] = [
    [255, 224, 201],
    [250, 214, 187],
    [245, 205, 175],
    [240, 196, 164],
    [233, 185, 150],
    [222, 170, 133],
    [203, 147, 109],
    [166, 112, 80],
    [124, 80, 57],
];
const HAIRS: [Colour; 9] = [
    [38, 31, 33],
    [58, 42, 38],
    [82, 56, 44],
    [107, 72, 52],
    [136, 94, 62],
    [171, 127, 82],
    [205, 164, 110],
    [226, 196, 142],
    [138, 66, 40],
];
const EYES: [Colour; 6] = [[74, 50, 36], [101, 70, 44], [116, 98, 58], [84, 112, 84], [84, 118, 152], [104, 128, 142]];
const CLOTHES: [Colour; 14] = [
    [61, 90, 128],
    [41, 58, 84],
    [107, 129, 148],
    [88, 122, 104],
    [62, 92, 82],
    [164, 92, 84],
    [126, 62, 70],
    [196, 142, 96],
    [221, 181, 122],
    [122, 100, 142],
    [178, 144, 160],
    [84, 84, 92],
    [222, 222, 224],
    [58, 122, 140],
];
const TUNICS: [Colour; 4] = [[70, 140, 150], [96, 142, 186], [128, 168, 148], [176, 128, 156]];
const GROUNDS: [Colour; 8] = [
    [214, 226, 236],
    [223, 231, 222],
    [236, 229, 217],
    [229, 222, 233],
    [238, 222, 216],
    [213, 230, 229],
    [231, 232, 238],
    [226, 224, 214],
];
const FRAMES: [Colour; 5] = [[42, 44, 52], [92, 62, 48], [128, 44, 52], [48, 66, 96], [150, 136, 108]];
const GREY: Colour = [172, 172, 176];
const WHITE_HAIR: Colour = [224, 223, 221];

impl Look {
    /// Draws by lot; the same seed, sex, age and work give the same look.
    pub fn draw(seed: u64, sex: Sex, age: u8, work: Option<Dress>) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x0FAC_E0FF_ACE5);
        let woman = sex == Sex::Woman;
        let skin = SKINS[(rng.usize(..6) + rng.usize(..3) * usize::from(rng.u8(..10) < 3)).min(SKINS.len() - 1)];
        let dark = SKINS.iter().position(|known| *known == skin).is_some_and(|place| place > 5);
        let eyes = EYES[if dark { rng.usize(..3) } else { rng.usize(..EYES.len()) }];
        let hair = (hair_style(&mut rng, woman, age), hair_colour(&mut rng, age, dark));
        let beard = if woman { Beard::None } else { beard(&mut rng) };
        let cheeks = rng.f32() * 16.0 + if woman { 96.0 } else { 101.0 };
        let jaw = cheeks - if woman { 16.0 + rng.f32() * 10.0 } else { 6.0 + rng.f32() * 14.0 };
        let chin = if woman { 26.0 } else { 36.0 } + rng.f32() * 18.0;
        let dress = dress(&mut rng, woman, work);
        Self {
            sex,
            age,
            skin,
            hair,
            eyes,
            brows: (if woman { 4.5 } else { 7.5 } + rng.f32() * 3.5, rng.f32() * 8.0 + if woman { 6.0 } else { 1.0 }),
            face: (cheeks, jaw, chin),
            eyes_apart: 42.0 + rng.f32() * 7.0,
            eyes_open: 9.5 + rng.f32() * 3.5 + if woman { 1.0 } else { 0.0 },
            nose: (36.0 + rng.f32() * 14.0, 12.0 + rng.f32() * 7.0),
            mouth: (
                *rng.choice(&[Mouth::Calm, Mouth::Smile, Mouth::Smile, Mouth::Laugh]).unwrap_or(&Mouth::Calm),
                27.0 + rng.f32() * 9.0,
            ),
            beard,
            glasses: (
                match rng.u8(..100) {
                    0..14 => Glasses::Round,
                    14..30 => Glasses::Broad,
                    _ if age > 58 && rng.bool() => Glasses::Broad,
                    _ => Glasses::None,
                },
                FRAMES[rng.usize(..FRAMES.len())],
            ),
            freckles: !dark && age < 45 && rng.u8(..100) < 12,
            earrings: woman && rng.u8(..100) < 45,
            shoulders: if woman { 196.0 } else { 226.0 } + rng.f32() * 34.0,
            dress,
            ground: GROUNDS[rng.usize(..GROUNDS.len())],
            left_parted: rng.bool(),
        }
    }
}

fn hair_style(rng: &mut fastrand::Rng, woman: bool, age: u8) -> Hair {
    use Hair as H;
    let styles: &[Hair] = match (woman, age) {
        (true, ..50) => &[
            H::Long,
            H::Long,
            H::Waves,
            H::Waves,
            H::Bob,
            H::Bob,
            H::Knot,
            H::Tail,
            H::Tail,
            H::Cloud,
            H::Pixie,
            H::Scarf,
        ],
        (true, _) => &[H::Bob, H::Bob, H::Pixie, H::Pixie, H::Curls, H::Knot, H::Cloud, H::Waves, H::Scarf],
        (false, ..45) => &[H::Short, H::Short, H::Parted, H::Parted, H::Cropped, H::Curls, H::Receding, H::None],
        (false, _) => &[H::Short, H::Parted, H::Cropped, H::Receding, H::Receding, H::Sides, H::Sides, H::None],
    };
    *rng.choice(styles).unwrap_or(&H::Short)
}

fn hair_colour(rng: &mut fastrand::Rng, age: u8, dark: bool) -> Colour {
    let natural = HAIRS[if dark { rng.usize(..3) } else { rng.usize(..HAIRS.len()) }];
    let natural = mix(natural, [96, 70, 54], rng.f32() * 0.2);
    // Grey comes between forty and seventy, to some early and to some late.
    let years = f32::from(age.saturating_sub(38)) - rng.f32() * 14.0;
    let grey = (years / 26.0).clamp(0.0, 1.0);
    let to = if age > 68 { WHITE_HAIR } else { GREY };
    mix(natural, to, grey * 0.9)
}

fn beard(rng: &mut fastrand::Rng) -> Beard {
    match rng.u8(..100) {
        0..14 => Beard::Full,
        14..32 => Beard::Stubble,
        32..40 => Beard::Round,
        40..48 => Beard::Moustache,
        _ => Beard::None,
    }
}

fn dress(rng: &mut fastrand::Rng, woman: bool, work: Option<Dress>) -> (Dress, Colour, Colour) {
    let own: &[Dress] = if woman {
        &[Dress::Tee, Dress::Pullover, Dress::Pullover, Dress::Roll, Dress::Shirt, Dress::Jacket]
    } else {
        &[Dress::Tee, Dress::Shirt, Dress::Shirt, Dress::Pullover, Dress::Jacket, Dress::Roll]
    };
    let what = work.unwrap_or_else(|| *rng.choice(own).unwrap_or(&Dress::Tee));
    let (first, second) = (rng.usize(..CLOTHES.len()), rng.usize(1..CLOTHES.len()));
    let (first, second) = (CLOTHES[first], CLOTHES[(first + second) % CLOTHES.len()]);
    match what {
        Dress::Coat => (what, [247, 249, 251], second),
        Dress::Tunic => (what, TUNICS[rng.usize(..TUNICS.len())], [255, 255, 255]),
        Dress::Vest => (what, if rng.bool() { [244, 126, 44] } else { [214, 222, 60] }, second),
        Dress::Jacket => (what, mix(first, [44, 50, 62], 0.55), mix(second, [250, 250, 250], 0.6)),
        _ => (what, first, second),
    }
}
