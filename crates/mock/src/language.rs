//! The two languages of the pages that a person sees before the app.

use super::{
    Access,
    http::{Pairs, Request, last},
};

/// The language of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    English,
    Spanish,
}

impl Language {
    /// The language that `lang` in an authorization request asks for, else that of the browser's `Accept-Language`.
    pub(super) fn of(parameters: &Pairs, request: &Request) -> Self {
        match last(parameters, "lang") {
            Some("es") => Self::Spanish,
            Some("en") => Self::English,
            _ => Self::preferred(request.header("accept-language").unwrap_or_default()),
        }
    }

    /// The language that a browser prefers, by weight and then by place. English if the browser accepts any language
    /// before it names one of the two (Django's rule for `Accept-Language`, RFC 9110 section 12.5.4).
    fn preferred(list: &str) -> Self {
        let weighed = |part: &str| {
            let mut words = part.split(';').map(str::trim);
            let tag = words.next().unwrap_or_default().to_ascii_lowercase();
            let weight = words.next().map_or(Some(1.0), |word| word.strip_prefix("q=")?.trim().parse::<f32>().ok())?;
            (weight > 0.0 && weight <= 1.0).then_some((tag, weight))
        };
        let mut tags: Vec<(String, f32)> = list.split(',').filter_map(weighed).collect();
        tags.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        let known = tags.iter().map(|(tag, _)| tag.split('-').next().unwrap_or_default());
        match known.into_iter().find(|tag| matches!(*tag, "en" | "es" | "*")) {
            Some("es") => Self::Spanish,
            _ => Self::English,
        }
    }

    /// The language of a language tag. Every other language is English.
    pub(super) fn called(tag: &str) -> Self {
        if tag.split('-').next().is_some_and(|tag| tag.eq_ignore_ascii_case("es")) {
            Self::Spanish
        } else {
            Self::English
        }
    }

    /// The tag in `html lang` and `Content-Language`.
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Spanish => "es",
        }
    }

    pub(super) fn words(self) -> &'static Words {
        match self {
            Self::English => &ENGLISH,
            Self::Spanish => &SPANISH,
        }
    }
}

/// The texts of the pages. In a date, `%B` is only for English; Spanish uses numbers.
pub(super) struct Words {
    pub banner: &'static str,
    pub log_in: &'static str,
    pub no_password: &'static str,
    pub enrollee: &'static str,
    pub consent: &'static str,
    pub asks: &'static str,
    pub hour: &'static str,
    pub months: &'static str,
    pub date: &'static str,
    /// Says that claims and coverage, only claims, or only coverage will be shared.
    pub shared: [&'static str; 3],
    /// The box for personal information, together with others and alone.
    pub personal: [&'static str; 2],
    pub treatment: &'static str,
    pub connect: &'static str,
    pub deny: &'static str,
    pub switch: &'static str,
    pub will_be_shared: &'static str,
    pub personal_required: &'static str,
    pub coverage_required: &'static str,
    pub claims_required: &'static str,
    pub drugs_required: &'static str,
}

impl Words {
    /// How long the app may see the data, with a blank before it.
    pub(super) fn duration(&self, access: Access, end: jiff::Timestamp) -> String {
        match access {
            Access::OneTime => format!(" {}", self.hour),
            Access::ThirteenMonth => format!(" {} {}", self.months, end.strftime(self.date)),
            Access::Research => String::new(),
        }
    }
}

const ENGLISH: Words = Words {
    banner: "Mock Blue Button: made-up people, no real data",
    log_in: "Log in",
    no_password: "This page stands for Medicare.gov's. Choose who logs in; there is no password.",
    enrollee: "Enrollee",
    consent: "Connect your Medicare claims",
    asks: "asks to see your Medicare data",
    hour: "for 1 hour",
    months: "for 13 months, until",
    date: "%B %-d, %Y",
    shared: [
        "Your claims and your coverage will be shared.",
        "Your claims will be shared.",
        "Your coverage will be shared.",
    ],
    personal: [
        "Share my personal information too: name, address, birth date, race and sex",
        "Share my personal information: name, address, birth date, race and sex",
    ],
    treatment: "Share data about treatment of alcohol and substance use too",
    connect: "Connect",
    deny: "Deny",
    switch: "Switch account",
    will_be_shared: "These will be shared:",
    personal_required: "Personal information (required): name, address, birth date, race and sex",
    coverage_required: "Coverage (required)",
    claims_required: "Claims (required)",
    drugs_required: "Prescription drug claims (required)",
};

const SPANISH: Words = Words {
    banner: "Blue Button de prueba: personas inventadas, ningún dato real",
    log_in: "Iniciar sesión",
    no_password: "Esta página representa la de Medicare.gov. Elija quién inicia sesión; no hay contraseña.",
    enrollee: "Persona",
    consent: "Conectar sus reclamaciones de Medicare",
    asks: "pide ver sus datos de Medicare",
    hour: "durante 1 hora",
    months: "durante 13 meses, hasta el",
    date: "%-d/%-m/%Y",
    shared: [
        "Se compartirán sus reclamaciones y su cobertura.",
        "Se compartirán sus reclamaciones.",
        "Se compartirá su cobertura.",
    ],
    personal: [
        "Compartir también mis datos personales: nombre, dirección, fecha de nacimiento, raza y sexo",
        "Compartir mis datos personales: nombre, dirección, fecha de nacimiento, raza y sexo",
    ],
    treatment: "Compartir también los datos sobre el tratamiento por consumo de alcohol y sustancias",
    connect: "Conectar",
    deny: "Rechazar",
    switch: "Cambiar de cuenta",
    will_be_shared: "Se compartirán:",
    personal_required: "Datos personales (obligatorio): nombre, dirección, fecha de nacimiento, raza y sexo",
    coverage_required: "Cobertura (obligatorio)",
    claims_required: "Reclamaciones (obligatorio)",
    drugs_required: "Reclamaciones de medicamentos recetados (obligatorio)",
};

#[cfg(test)]
mod tests {
    use super::Language;

    #[test]
    fn the_language_that_a_browser_likes_best_counts() {
        for (list, expected) in [
            ("en;q=0.5, es;q=0.9", "es"),
            ("en;q=0.5,es-PR", "es"),
            ("es;q=0.5,en", "en"),
            ("fr,es;q=0.7,en;q=0.3", "es"),
            ("fr,*;q=0.5,es;q=0.1", "en"),
            ("es;q=0,fr", "en"),
            ("ES-mx", "es"),
            ("es,en", "es"),
            ("en,es", "en"),
            ("est", "en"),
            ("es;q=x", "en"),
            ("", "en"),
        ] {
            assert_eq!(Language::preferred(list).tag(), expected, "{list}");
        }
    }

    #[test]
    fn languages_are_read_off_their_tags() {
        for (tag, expected) in [("es", "es"), ("es-MX", "es"), ("ES", "es"), ("en-US", "en"), ("et", "en"), ("", "en")]
        {
            assert_eq!(Language::called(tag).tag(), expected, "{tag}");
        }
    }
}
