//! Character classes: Perl's and POSIX's names, Unicode's categories and scripts, and case folding.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

/// A class of the ranges of code points; surrogates, which no UTF-8 text contains, are left out.
pub(super) fn ranges(ranges: &[(u32, u32)]) -> ClassUnicode {
    let mut class = ClassUnicode::empty();
    for (low, high) in ranges {
        push(&mut class, *low, *high);
    }
    class
}

/// Adds a range of code points to a class.
pub(super) fn push(class: &mut ClassUnicode, low: u32, high: u32) {
    for (low, high) in [(low, high.min(0xd7ff)), (low.max(0xe000), high)] {
        if let (Some(low), Some(high)) = (char::from_u32(low), char::from_u32(high))
            && low <= high
        {
            class.push(ClassUnicodeRange::new(low, high));
        }
    }
}

/// All characters but those of `class`.
pub(super) fn negated(mut class: ClassUnicode) -> ClassUnicode {
    class.negate();
    class
}

/// The characters among which some differ by case only.
static CASED: LazyLock<ClassUnicode> =
    LazyLock::new(|| property("Cased").unwrap_or_else(|| ranges(&[(0, 0x10_ffff)])));

/// `class` with everything that differs from its members by case only (simple folding).
pub(super) fn folded(mut class: ClassUnicode) -> ClassUnicode {
    // Folding looks at each character, and a class may have a million.
    let mut cased = class.clone();
    cased.intersect(&CASED);
    // Fails only where the folding tables are not compiled in.
    let _ = cased.try_case_fold_simple();
    class.union(&cased);
    class
}

/// `\d`, `\s`, `\w` and their opposites, by the letter. All are ASCII.
pub(super) fn perl(letter: char) -> Option<(ClassUnicode, Sign)> {
    let sign = if letter.is_ascii_uppercase() {
        Sign::Negated
    } else {
        Sign::Plain
    };
    let class: &[(u32, u32)] = match letter.to_ascii_lowercase() {
        'd' => &[(0x30, 0x39)],
        's' => &[(0x09, 0x0a), (0x0c, 0x0d), (0x20, 0x20)],
        'w' => &[(0x30, 0x39), (0x41, 0x5a), (0x5f, 0x5f), (0x61, 0x7a)],
        _ => return None,
    };
    Some((ranges(class), sign))
}

/// Whether a named class stands for its members or for all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Plain,
    Negated,
}

impl Sign {
    pub fn flip(self) -> Self {
        match self {
            Self::Plain => Self::Negated,
            Self::Negated => Self::Plain,
        }
    }

    /// The class, folded if asked, then negated if so.
    pub fn apply(self, class: ClassUnicode, fold: bool) -> ClassUnicode {
        let class = if fold { folded(class) } else { class };
        match self {
            Self::Plain => class,
            Self::Negated => negated(class),
        }
    }
}

/// `[:alpha:]`, `[:^alpha:]`, by what stands between the colons.
pub(super) fn posix(name: &str) -> Option<(ClassUnicode, Sign)> {
    let (name, sign) = match name.strip_prefix('^') {
        Some(name) => (name, Sign::Negated),
        None => (name, Sign::Plain),
    };
    let class: &[(u32, u32)] = match name {
        "alnum" => &[(0x30, 0x39), (0x41, 0x5a), (0x61, 0x7a)],
        "alpha" => &[(0x41, 0x5a), (0x61, 0x7a)],
        "ascii" => &[(0x00, 0x7f)],
        "blank" => &[(0x09, 0x09), (0x20, 0x20)],
        "cntrl" => &[(0x00, 0x1f), (0x7f, 0x7f)],
        "digit" => &[(0x30, 0x39)],
        "graph" => &[(0x21, 0x7e)],
        "lower" => &[(0x61, 0x7a)],
        "print" => &[(0x20, 0x7e)],
        "punct" => &[(0x21, 0x2f), (0x3a, 0x40), (0x5b, 0x60), (0x7b, 0x7e)],
        "space" => &[(0x09, 0x0d), (0x20, 0x20)],
        "upper" => &[(0x41, 0x5a)],
        "word" => &[(0x30, 0x39), (0x41, 0x5a), (0x5f, 0x5f), (0x61, 0x7a)],
        "xdigit" => &[(0x30, 0x39), (0x41, 0x46), (0x61, 0x66)],
        _ => return None,
    };
    Some((ranges(class), sign))
}

/// The class that `\p{name}` names; case, spaces, hyphens and underscores do not count.
pub(super) fn unicode(name: &str) -> Option<ClassUnicode> {
    static KNOWN: LazyLock<HashMap<String, String>> = LazyLock::new(known_properties);
    let name = canonical(name);
    match name.as_str() {
        "Any" => return Some(ranges(&[(0, 0x10_ffff)])),
        "Ascii" => return Some(ranges(&[(0, 0x7f)])),
        "Assigned" => return property("gc=Cn").map(negated),
        "Cs" | "Surrogate" => return Some(ClassUnicode::empty()),
        _ => {}
    }
    property(KNOWN.get(&name)?)
}

/// A property of the `regex` crates' Unicode tables.
fn property(property: &str) -> Option<ClassUnicode> {
    let hir = regex_syntax::parse(&format!(r"\p{{{property}}}")).ok()?;
    match hir.into_kind() {
        HirKind::Class(Class::Unicode(class)) => Some(class),
        _ => None,
    }
}

/// A first letter in upper case, the rest in lower case, nothing between the words.
fn canonical(name: &str) -> String {
    let mut canonical = String::with_capacity(name.len());
    for c in name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')) {
        canonical.push(if canonical.is_empty() {
            c.to_ascii_uppercase()
        } else {
            c.to_ascii_lowercase()
        });
    }
    canonical
}

/// Go's names of categories and scripts, canonical, with the property each one stands for.
fn known_properties() -> HashMap<String, String> {
    let categories = CATEGORIES.split_whitespace().map(|name| (name, name));
    let aliases = ALIASES
        .split_whitespace()
        .filter_map(|alias| alias.split_once('='));
    let general = categories
        .chain(aliases)
        .map(|(name, category)| (canonical(name), format!("gc={category}")));
    let scripts = SCRIPTS
        .split_whitespace()
        // Go looks scripts up by the canonical form of what was asked, so names of several words are out of reach.
        .filter(|name| canonical(name) == **name)
        .map(|name| (name.to_owned(), format!("sc={name}")));
    general.chain(scripts).collect()
}

const CATEGORIES: &str = "C Cc Cf Cn Co L LC Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po Ps S Sc Sk Sm So \
    Z Zl Zp Zs";

const ALIASES: &str = "Cased_Letter=LC Close_Punctuation=Pe Combining_Mark=M Connector_Punctuation=Pc Control=Cc \
    Currency_Symbol=Sc Dash_Punctuation=Pd Decimal_Number=Nd Enclosing_Mark=Me Final_Punctuation=Pf Format=Cf \
    Initial_Punctuation=Pi Letter=L Letter_Number=Nl Line_Separator=Zl Lowercase_Letter=Ll Mark=M Math_Symbol=Sm \
    Modifier_Letter=Lm Modifier_Symbol=Sk Nonspacing_Mark=Mn Number=N Open_Punctuation=Ps Other=C Other_Letter=Lo \
    Other_Number=No Other_Punctuation=Po Other_Symbol=So Paragraph_Separator=Zp Private_Use=Co Punctuation=P Separator=Z \
    Space_Separator=Zs Spacing_Mark=Mc Symbol=S Titlecase_Letter=Lt Unassigned=Cn Uppercase_Letter=Lu cntrl=Cc digit=Nd \
    punct=P";

const SCRIPTS: &str = "Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak Bengali \
    Bhaiksuki Bopomofo Brahmi Braille Buginese Buhid Canadian_Aboriginal Carian Caucasian_Albanian Chakma Cham Cherokee \
    Chorasmian Common Coptic Cuneiform Cypriot Cypro_Minoan Cyrillic Deseret Devanagari Dives_Akuru Dogra Duployan \
    Egyptian_Hieroglyphs Elbasan Elymaic Ethiopic Georgian Glagolitic Gothic Grantha Greek Gujarati Gunjala_Gondi Gurmukhi \
    Han Hangul Hanifi_Rohingya Hanunoo Hatran Hebrew Hiragana Imperial_Aramaic Inherited Inscriptional_Pahlavi \
    Inscriptional_Parthian Javanese Kaithi Kannada Katakana Kawi Kayah_Li Kharoshthi Khitan_Small_Script Khmer Khojki \
    Khudawadi Lao Latin Lepcha Limbu Linear_A Linear_B Lisu Lycian Lydian Mahajani Makasar Malayalam Mandaic Manichaean \
    Marchen Masaram_Gondi Medefaidrin Meetei_Mayek Mende_Kikakui Meroitic_Cursive Meroitic_Hieroglyphs Miao Modi Mongolian \
    Mro Multani Myanmar Nabataean Nag_Mundari Nandinagari New_Tai_Lue Newa Nko Nushu Nyiakeng_Puachue_Hmong Ogham Ol_Chiki \
    Old_Hungarian Old_Italic Old_North_Arabian Old_Permic Old_Persian Old_Sogdian Old_South_Arabian Old_Turkic Old_Uyghur \
    Oriya Osage Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician Psalter_Pahlavi Rejang Runic Samaritan \
    Saurashtra Sharada Shavian Siddham SignWriting Sinhala Sogdian Sora_Sompeng Soyombo Sundanese Syloti_Nagri Syriac \
    Tagalog Tagbanwa Tai_Le Tai_Tham Tai_Viet Takri Tamil Tangsa Tangut Telugu Thaana Thai Tibetan Tifinagh Tirhuta Toto \
    Ugaritic Vai Vithkuqi Wancho Warang_Citi Yezidi Yi Zanabazar_Square";

/// Whether Go's templates count `c` as part of a name: a letter, a decimal digit or an underscore.
pub(super) fn is_word_of_template(c: char) -> bool {
    static LETTERS_AND_DIGITS: LazyLock<ClassUnicode> = LazyLock::new(|| {
        let mut class = property("gc=L").unwrap_or_else(ClassUnicode::empty);
        class.union(&property("gc=Nd").unwrap_or_else(ClassUnicode::empty));
        class
    });
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    let ranges = LETTERS_AND_DIGITS.ranges();
    let at = ranges.partition_point(|range| range.end() < c);
    ranges.get(at).is_some_and(|range| range.start() <= c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_differs_only_among_cased_characters() {
        let mut others = ranges(&[(0, 0x10_ffff)]);
        others.difference(&CASED);
        let mut folded = others.clone();
        folded.try_case_fold_simple().unwrap();
        assert_eq!(folded, others);
        assert!(CASED.ranges().len() > 100);
    }
}
