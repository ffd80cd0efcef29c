//! Who the invented people are: names, dates, documents and contacts, drawn by lot from the scenario's seed and the
//! person's reference. First names are those that people of the region have; family names are common ones; the pairs
//! are by chance. Telephones and addresses cannot be anybody's: numbers of an area that is not given out, and the
//! domain kept for examples.
//!
//! Never writes anywhere: a caller puts it into the vault.

use crate::people::Person;
use crate::portrait::{Dress, Look};
use crate::scenario::Scenario;

/// Man or woman: names and faces go by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sex {
    /// She.
    Woman,
    /// He.
    Man,
}

/// In which letters names are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// Олена Бондаренко.
    Cyrillic,
    /// Olena Bondarenko.
    Latin,
}

/// What a passport says of somebody who does not exist.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// Man or woman.
    pub sex: Sex,
    /// The family name.
    pub family: String,
    /// The first name.
    pub given: String,
    /// The father's name, as it is used in the region.
    pub middle: String,
    /// Year, month and day.
    pub birth: (u16, u8, u8),
    /// Years, in the year of the scenario.
    pub age: u8,
    /// A document: series and number.
    pub document: String,
    /// A telephone number that is nobody's.
    pub phone: String,
    /// An address at `example.org`.
    pub email: String,
    seed: u64,
    work: Option<Dress>,
}

impl Identity {
    /// What they look like.
    pub fn look(&self) -> Look {
        Look::draw(self.seed, self.sex, self.age, self.work)
    }

    /// The date of birth as ISO 8601 has it.
    pub fn birth_date(&self) -> String {
        let (year, month, day) = self.birth;
        format!("{year:04}-{month:02}-{day:02}")
    }
}

/// The year from which ages are counted back: that of the sample scenario.
const THIS_YEAR: u16 = 2026;

/// First names: Cyrillic, Latin.
const WOMEN: [(&str, &str); 32] = [
    ("Олена", "Olena"),
    ("Марія", "Mariia"),
    ("Анна", "Anna"),
    ("Оксана", "Oksana"),
    ("Ірина", "Iryna"),
    ("Наталія", "Nataliia"),
    ("Тетяна", "Tetiana"),
    ("Юлія", "Yuliia"),
    ("Світлана", "Svitlana"),
    ("Катерина", "Kateryna"),
    ("Людмила", "Liudmyla"),
    ("Галина", "Halyna"),
    ("Вікторія", "Viktoriia"),
    ("Дарина", "Daryna"),
    ("Софія", "Sofiia"),
    ("Надія", "Nadiia"),
    ("Віра", "Vira"),
    ("Любов", "Liubov"),
    ("Аліна", "Alina"),
    ("Яна", "Yana"),
    ("Лариса", "Larysa"),
    ("Валентина", "Valentyna"),
    ("Зоя", "Zoia"),
    ("Мирослава", "Myroslava"),
    ("Богдана", "Bohdana"),
    ("Соломія", "Solomiia"),
    ("Поліна", "Polina"),
    ("Ксенія", "Kseniia"),
    ("Тамара", "Tamara"),
    ("Ніна", "Nina"),
    ("Злата", "Zlata"),
    ("Елла", "Ella"),
];
const MEN: [(&str, &str); 28] = [
    ("Олександр", "Oleksandr"),
    ("Андрій", "Andrii"),
    ("Ігор", "Ihor"),
    ("Максим", "Maksym"),
    ("Богдан", "Bohdan"),
    ("Тарас", "Taras"),
    ("Дмитро", "Dmytro"),
    ("Сергій", "Serhii"),
    ("Михайло", "Mykhailo"),
    ("Іван", "Ivan"),
    ("Петро", "Petro"),
    ("Роман", "Roman"),
    ("Юрій", "Yurii"),
    ("Віктор", "Viktor"),
    ("Артем", "Artem"),
    ("Назар", "Nazar"),
    ("Остап", "Ostap"),
    ("Павло", "Pavlo"),
    ("Олег", "Oleh"),
    ("Степан", "Stepan"),
    ("Григорій", "Hryhorii"),
    ("Ярослав", "Yaroslav"),
    ("Антон", "Anton"),
    ("Микола", "Mykola"),
    ("Леонід", "Leonid"),
    ("Кирило", "Kyrylo"),
    ("Тимур", "Tymur"),
    ("Захар", "Zakhar"),
];
/// Fathers' names: of a daughter, of a son; Cyrillic, then Latin.
const FATHERS: [[&str; 4]; 14] = [
    ["Олександрівна", "Олександрович", "Oleksandrivna", "Oleksandrovych"],
    ["Андріївна", "Андрійович", "Andriivna", "Andriiovych"],
    ["Ігорівна", "Ігорович", "Ihorivna", "Ihorovych"],
    ["Іванівна", "Іванович", "Ivanivna", "Ivanovych"],
    ["Петрівна", "Петрович", "Petrivna", "Petrovych"],
    ["Миколаївна", "Миколайович", "Mykolaivna", "Mykolaiovych"],
    ["Степанівна", "Степанович", "Stepanivna", "Stepanovych"],
    ["Сергіївна", "Сергійович", "Serhiivna", "Serhiiovych"],
    ["Богданівна", "Богданович", "Bohdanivna", "Bohdanovych"],
    ["Романівна", "Романович", "Romanivna", "Romanovych"],
    ["Василівна", "Васильович", "Vasylivna", "Vasylovych"],
    ["Юріївна", "Юрійович", "Yuriivna", "Yuriiovych"],
    ["Вікторівна", "Вікторович", "Viktorivna", "Viktorovych"],
    ["Павлівна", "Павлович", "Pavlivna", "Pavlovych"],
];
/// Family names: of a woman, of a man; Cyrillic, then Latin.
const FAMILIES: [[&str; 4]; 40] = [
    ["Бондаренко", "Бондаренко", "Bondarenko", "Bondarenko"],
    ["Коваль", "Коваль", "Koval", "Koval"],
    ["Петренко", "Петренко", "Petrenko", "Petrenko"],
    ["Лісова", "Лісовий", "Lisova", "Lisovyi"],
    ["Гончар", "Гончар", "Honchar", "Honchar"],
    ["Мельничук", "Мельничук", "Melnychuk", "Melnychuk"],
    ["Соколова", "Соколов", "Sokolova", "Sokolov"],
    ["Яворська", "Яворський", "Yavorska", "Yavorskyi"],
    ["Кравець", "Кравець", "Kravets", "Kravets"],
    ["Шевчук", "Шевчук", "Shevchuk", "Shevchuk"],
    ["Дубова", "Дубовий", "Dubova", "Dubovyi"],
    ["Вербицька", "Вербицький", "Verbytska", "Verbytskyi"],
    ["Левченко", "Левченко", "Levchenko", "Levchenko"],
    ["Сидоренко", "Сидоренко", "Sydorenko", "Sydorenko"],
    ["Зоренко", "Зоренко", "Zorenko", "Zorenko"],
    ["Малинська", "Малинський", "Malynska", "Malynskyi"],
    ["Ткачук", "Ткачук", "Tkachuk", "Tkachuk"],
    ["Гаєвська", "Гаєвський", "Haievska", "Haievskyi"],
    ["Орлова", "Орлов", "Orlova", "Orlov"],
    ["Стрілець", "Стрілець", "Strilets", "Strilets"],
    ["Чорна", "Чорний", "Chorna", "Chornyi"],
    ["Швець", "Швець", "Shvets", "Shvets"],
    ["Барабаш", "Барабаш", "Barabash", "Barabash"],
    ["Калинюк", "Калинюк", "Kalyniuk", "Kalyniuk"],
    ["Рудь", "Рудь", "Rud", "Rud"],
    ["Хмара", "Хмара", "Khmara", "Khmara"],
    ["Білик", "Білик", "Bilyk", "Bilyk"],
    ["Тихенко", "Тихенко", "Tykhenko", "Tykhenko"],
    ["Полянська", "Полянський", "Polianska", "Polianskyi"],
    ["Щерба", "Щерба", "Shcherba", "Shcherba"],
    ["Кушнір", "Кушнір", "Kushnir", "Kushnir"],
    ["Озерна", "Озерний", "Ozerna", "Ozernyi"],
    ["Морозенко", "Морозенко", "Morozenko", "Morozenko"],
    ["Журба", "Журба", "Zhurba", "Zhurba"],
    ["Лугова", "Луговий", "Luhova", "Luhovyi"],
    ["Пасічник", "Пасічник", "Pasichnyk", "Pasichnyk"],
    ["Сорока", "Сорока", "Soroka", "Soroka"],
    ["Степова", "Степовий", "Stepova", "Stepovyi"],
    ["Якименко", "Якименко", "Yakymenko", "Yakymenko"],
    ["Цимбал", "Цимбал", "Tsymbal", "Tsymbal"],
];

/// Who a person is; `None` for a vehicle, which has a plate but no face.
pub fn identity(scenario: &Scenario, person: &Person, script: Script) -> Option<Identity> {
    let category = scenario.categories.get(person.category)?;
    let (work, ages) = match (category.kind.as_str(), category.name.as_str()) {
        ("vehicle", _) => return None,
        ("staff", "doctor" | "therapist" | "surgeon") => (Some(Dress::Coat), 27..67),
        ("staff", "nurse") => (Some(Dress::Tunic), 21..62),
        ("contractor", _) => (Some(Dress::Vest), 20..58),
        _ => (None, 18..86),
    };
    let seed = lot(scenario.seed, &person.reference);
    let mut rng = fastrand::Rng::with_seed(seed);
    let women = if work == Some(Dress::Tunic) {
        8
    } else if work == Some(Dress::Vest) {
        2
    } else {
        5
    };
    let sex = if rng.u8(..10) < women { Sex::Woman } else { Sex::Man };
    let age = rng.u8(ages);
    let (cyrillic, latin) = match sex {
        Sex::Woman => WOMEN[rng.usize(..WOMEN.len())],
        Sex::Man => MEN[rng.usize(..MEN.len())],
    };
    let (father, family) = (FATHERS[rng.usize(..FATHERS.len())], FAMILIES[rng.usize(..FAMILIES.len())]);
    let form = usize::from(sex == Sex::Man);
    let place = if script == Script::Latin { form + 2 } else { form };
    let number = rng.u32(..1_000_000);
    Some(Identity {
        sex,
        family: family[place].to_owned(),
        given: if script == Script::Latin { latin } else { cyrillic }.to_owned(),
        middle: father[place].to_owned(),
        birth: (THIS_YEAR - u16::from(age), rng.u8(1..=12), rng.u8(1..=28)),
        age,
        document: format!("ДЕМО {number:06}"),
        phone: format!("+380 00 {:03} {:02} {:02}", rng.u16(..1000), rng.u8(..100), rng.u8(..100)),
        email: format!("{}.{}@example.org", latin.to_lowercase(), family[form + 2].to_lowercase()),
        seed,
        work,
    })
}

/// A number from the scenario's seed and a name: FNV-1a.
fn lot(seed: u64, name: &str) -> u64 {
    name.bytes().fold(seed ^ 0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::people::people;

    #[test]
    fn everybody_has_a_name_of_their_own_kind_and_is_the_same_each_time() {
        let scenario = Scenario::demo();
        let everybody = people(&scenario);
        let mut names = HashSet::new();
        for person in &everybody {
            let Some(who) = identity(&scenario, person, Script::Cyrillic) else {
                assert!(person.reference.starts_with("sim-car-"));
                continue;
            };
            assert!(who == identity(&scenario, person, Script::Cyrillic).unwrap());
            let latin = identity(&scenario, person, Script::Latin).unwrap();
            assert_eq!((latin.birth, latin.sex, latin.look()), (who.birth, who.sex, who.look()));
            assert!(latin.family.is_ascii() && !who.family.is_ascii());
            assert_eq!(who.middle.ends_with("івна") || who.middle.ends_with("ївна"), who.sex == Sex::Woman);
            names.insert((who.family, who.given, who.middle));
        }
        assert!(names.len() > 300, "{} different names for {} people", names.len(), everybody.len());
    }

    #[test]
    fn no_contact_can_be_anybodys() {
        let scenario = Scenario::demo();
        for who in people(&scenario).iter().filter_map(|person| identity(&scenario, person, Script::Latin)) {
            assert!(who.email.ends_with("@example.org") && who.email.is_ascii());
            assert!(who.phone.starts_with("+380 00 "));
            assert!((18..=90).contains(&who.age));
        }
    }
}
