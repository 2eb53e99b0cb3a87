//! What to do: how to read the page, a service that was not approved, an appeal, fraud.

use maud::{Markup, html};

use super::html::Escaped;
use crate::cms_notice::CMS_NOTICE;

/// The text about appeals follows 42 CFR § 405.942 and § 405.944, and
/// <https://www.medicare.gov/claims-appeals/how-do-i-file-an-appeal>. The telephone numbers are those of Medicare,
/// the Inspector General (<https://oig.hhs.gov/fraud/report-fraud>) and the Senior Medicare Patrol
/// (<https://smpmedicaretracker.org/about-smp>).
pub(super) fn section() -> Markup {
    html! {
        h2 #help { "What to do" }
        h3 { "If a bill does not match" }
        p { "Wait for the provider\u{2019}s bill, then compare it with \u{201c}You may be billed\u{201d} of that claim. If the bill is higher, call the provider\u{2019}s office first, then "
            a href="tel:18006334227" { "1-800-MEDICARE (1-800-633-4227)" } ", TTY 1-877-486-2048." }
        h3 #appeal { "If Medicare did not approve a service" }
        ol {
            li { "Ask the provider whether the claim had a mistake, and to send it again." }
            li { "If you still disagree, you can appeal. Look at your Medicare Summary Notice (MSN), which Medicare sends you by mail or shows at medicare.gov. "
                 "Your appeal must arrive within 120 days after you get it. Medicare takes it that you get it five days after its date." }
            li { "Circle the service on the notice and write why you disagree, with your name and Medicare number. Send it to the address under \u{201c}Appeals Information\u{201d}. Keep a copy. "
                 "Or fill in form CMS-20027." }
            li { "If a Medicare Advantage or drug plan decided, its own letter says how and by when." }
        }
        p.quiet { "The 120 days are those of 42 CFR \u{a7} 405.942. If you were too ill to write in time, say so: Medicare can give you longer. "
            "Your state\u{2019}s program (SHIP) helps for free: shiphelp.org, or ask 1-800-MEDICARE for its number." }
        h3 #fraud { "If you did not get a service, or do not know the provider" }
        p { "It may be a mistake; ask the provider. If it looks like fraud, call " a href="tel:18006334227" { "1-800-MEDICARE" }
            ", the Senior Medicare Patrol at " a href="tel:18778082468" { "1-877-808-2468" }
            ", or the Inspector General at " a href="tel:18004478477" { "1-800-HHS-TIPS (1-800-447-8477)" } "." }
        h3 { "How to use this page" }
        p { "Click or tap a claim to see its services. Search finds names, codes and words. To print it, or to keep it as a PDF, use your browser\u{2019}s print command. "
            "The words for procedure codes (CPT) are licensed, so they are not here. Your provider can tell you what a code means. "
            "It contains health data: keep it private." }
    }
}

/// Where the numbers come from, and CMS's notice.
pub(super) fn footer() -> Markup {
    html! { footer {
        h2 { "Where these numbers come from" }
        p { "Each number comes from the claim itself. If a claim does not have a number, the place is empty and sums leave it out. "
            "Claims that were canceled, deleted or replaced, that are still being processed, or that only ask in advance are shown, but are not in any sum. "
            "Claims take weeks to appear. This is not a bill." }
        p { (Escaped(CMS_NOTICE)) }
    } }
}
