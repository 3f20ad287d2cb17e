//! The phrases of [`super::out_of_scope`], as patterns over lower-case text with plain quotes.
//!
//! `<company>`, `<coin>` and `<ask>` stand for the lists at the end.

/// Idioms that only sound alike; they are cut out first.
pub(super) const HARMLESS: &[&str] = &[
    r"\b(?:financial|career|political|economic|commercial) suicide\b",
    r"\bdy?ing to (?:know|learn|try|see|buy|own|get)\b",
    r"\bdie (?:debt[- ]free|with zero|broke|rich|with(?:out)? (?:any )?debts?)\b",
    r"\bkill(?:ing)? myself (?:working|at work|with work|with overtime|to (?:pay|save|earn|make))\b",
    r"\bcut(?:ting)? myself (?:some|a|off|short)\b",
    r"\bhurt(?:ing)? myself (?:financially|in the long run|by (?:spending|borrowing|saving))\b",
];

pub(super) const SELF_HARM: &[&str] = &[
    r"\bsuicid(?:e|al)\b",
    r"\b(?:kill(?:ing)?|hurt(?:ing)?|harm(?:ing)?|cut(?:ting)?|hang(?:ing)?) myself\b|\bkill(?:ing)? (?:himself|herself|themselves)\b",
    r"\bself[- ]?harm(?:ing)?\b",
    r"\b(?:end|ending|take|taking) my (?:own )?life\b|\bend(?:ing)? it all\b",
    r"\b(?:want|wanna|going|ready|plan|planning|deserve|try|trying) (?:to )?die\b",
    r"\b(?:do not|don'?t|dont|no longer) (?:want|wish) to (?:live|be alive|exist|be here|wake up|go on)\b",
    r"\bwish (?:that )?i (?:was|were) (?:dead|never born)\b|\bwish i (?:could|would) (?:just )?(?:not wake up|disappear forever)\b",
    r"\bno (?:reason|point|use) (?:left )?(?:to|in|for me to) (?:live|living|liv|be alive|going on|go on|keep living)\b",
    r"\b(?:(?:want|wanna|rather|ready) (?:to )?be dead|be better dead)\b|\blife (?:is not|isn't) worth (?:it|anything)\b|\b(?:life|it) (?:is|isn'?t|is not|'s not)(?: not)? worth living\b|\bnot worth living\b",
    r"\bbetter off (?:dead|if i (?:was|were) (?:dead|gone)|without me)\b|\bworth more dead\b",
    r"\bcan(?:'?t|not) (?:go on|live)(?: like this)?(?: any ?more)?(?:[.,;!?]| ?$)",
    r"\bjump(?:ing)? (?:off|from) (?:a|the) (?:bridge|building|roof|balcony)\b|\boverdos(?:e|ing)\b",
    r"\b(?:point|reason|use) (?:of|in|to|for) (?:me )?(?:being alive|living|live|staying alive|stay alive|existing)\b",
    r"\b(?:everyone|everybody|they|people|family|nobody would \w+|happier|easier) .{0,25}\bif i (?:was|were|am|'m) (?:dead|gone|not here|no longer here)\b",
    r"\b(?:took|swallowed|take|taking|swallow) (?:a whole|a|the whole|all (?:my|the)|too many|a lot of) (?:bottle of |box of |pack of )?(?:pills|tablets|sleeping pills)\b",
    r"\b(?:want|wish|need) (?:to (?:just )?(?:disappear|vanish) (?:forever|for good|from this world)|(?:it|everything) (?:all )?to (?:end|be over|stop forever))\b",
    r"\b(?:hate (?:myself|my life)|i'?m done with life|done with living|tired of (?:living|being alive|life)|no longer want to live|goodbye (?:world|forever))\b",
];

pub(super) const MEDICAL: &[&str] = &[
    r"\b(?:should|can|could|may|is it (?:ok|okay|safe) (?:for me )?to|do i (?:need|have) to)(?: i)? (?:stop |start |keep )?(?:take|taking|mix|combine|skip|skipping|use|using|increase|double|halve|swap|give)\b.{0,40}<drug>",
    r"\bhow (?:much|many|often)\b.{0,30}<drug>.{0,20}\b(?:take|give|safe|a day|per day|daily)\b",
    r"\b(?:what|which|right|correct|safe|maximum) (?:dose|dosage)\b|\bside effects? of\b",
    r"\b(?:what|which|any|best|good) .{0,20}\b(?:medicine|medication|pills?|drugs?|antibiotics?|remed(?:y|ies)|treatment|cure)\b.{0,25}\b(?:for|against|helps?|should i take)\b.{0,25}<illness>",
    r"\bhow (?:do|can|should|to)\b.{0,12}\b(?:treat|cure|heal|relieve|get rid of|ease)\b.{0,30}<illness>",
    r"\b(?:symptoms?|signs?) of (?:a |an )?<illness>|\bdiagnos(?:e|ing) (?:me|my)\b",
    r"\b(?:do|might|could) i (?:have|be having|be suffering from) (?:a |an |the )?<illness>",
    r"\b(?:is|could|can) (?:it|this|that|my) .{0,30}\b(?:cancer(?:ous)?|covid|stroke|a heart attack|infected|contagious|a tumou?r)\b",
    r"\b(?:chest pain|short(?:ness)? of breath|coughing (?:up )?blood|numb (?:arm|face|leg))\b",
    r"\bshould i (?:get|have) (?:the )?(?:surgery|an operation|a vaccine|vaccinated|chemo\w*|an mri|a scan|a biopsy)\b",
    r"\bi(?:'ve| have)? (?:have|had|got|been having|feel|am)\b.{0,40}<illness>.{0,60}\b(?:what (?:should|can) i take|is (?:it|that) (?:serious|dangerous|normal)|should i see a doctor|what is it)\b",
    r"\b(?:do|might|could) i (?:have|be having) (?:a |an |the )?(?:\w+ )?(?:tumou?r|disease|disorder|virus|allergy)\b",
    r"\b(?:how (?:do|can|should) i|what (?:should|can) i (?:eat|do) to) (?:lower|raise|reduce|increase|control)\b.{0,10}\b(?:cholesterol|blood pressure|blood sugar|heart rate|testosterone|iron level)\b",
    r"\bwhat (?:should|can|do|could) i take\b.{0,20}<illness>|\bshould i (?:see|go to|call) (?:a|the|my) (?:doctor|dentist|gp|hospital|er|emergency room|therapist)\b",
    r"\b(?:alcohol|drink|drinking|beer|wine)\b.{0,20}\b(?:with|while|on|after)\b.{0,20}<drug>",
    r"\bmy (?:knee|foot|arm|leg|back|head|eye|ear|tooth|throat|stomach|chest|skin|hand|ankle|shoulder|heart) (?:is|hurts|aches|feels|has been)\b.{0,40}\bwhat (?:should|can|do) i (?:do|take)\b",
    r"\b(?:which|what) vaccines?\b",
];

pub(super) const LEGAL: &[&str] = &[
    r"<ask>.{0,25}\b(?:sue|suing|take .{1,40} to court|press(?:ing)? charges|file (?:a )?(?:law ?suit|charges)|bring a case)\b",
    r"\b(?:legal|lawyer'?s|attorney'?s) (?:advice|opinion|strategy)\b|\bact as (?:my|a) (?:lawyer|attorney)\b",
    r"\b(?:draft|write|prepare|review|check|look over|interpret)\b.{0,25}\b(?:lease|nda|prenup\w*|prenuptial agreement|affidavit|subpoena|legal (?:letter|notice|document|threat)|cease[- ]and[- ]desist|settlement agreement|(?:employment|work|rental|tenancy|purchase|partnership|divorce) (?:contract|agreement))\b",
    r"\b(?:draft|write|prepare) (?:me )?(?:my|a) (?:last )?will (?:for me|that|which|leaving|and testament)\b",
    r"\bis it (?:legal (?:to|for|if|that|in)|illegal|lawful|unlawful|against the law|a crime)\b|\b(?:legally|by law) (?:allowed|required|obliged|liable|responsible)\b",
    r"\bam i (?:liable|guilty|being (?:wrongfully|unlawfully))\b|\bdo i have (?:a|any) (?:case|legal (?:claim|grounds|right))\b",
    r"\bwhat are my (?:legal )?rights\b|\bcan (?:my|the|a) (?:landlord|boss|employer|ex|neighbou?r|police|ex-?(?:wife|husband)) (?:legally )?(?:evict|fire|sack|force|arrest|search|make|keep|sue)\b",
    r"\b(?:will|would|can|could|how (?:do|can) i|chances? (?:of|to)) .{0,25}\b(?:win|lose|get|keep)\b.{0,20}\b(?:(?:my |the |this |our )?(?:court case|lawsuit|trial|appeal|custody)|full custody)\b",
    r"\bplead (?:guilty|not guilty|no contest)\b|\b(?:say|tell|write) to the judge\b",
    r"\b(?:fight|contest|appeal|beat|get out of|challenge|defend)\b.{0,20}\b(?:a |my |the |an )(?:speeding ticket|parking ticket|eviction|conviction|dui|lawsuit|summons|subpoena|restraining order|will in court|deportation|criminal charge)\b",
    r"\b(?:loopholes?|way out) in (?:my|the|a) (?:contract|lease|prenup|divorce|law)\b",
    r"\b(?:grounds|enough evidence) (?:to (?:sue|press|appeal)|for (?:divorce|a (?:law ?suit|case|claim|trial))|against)\b",
    r"\b(?:write|draft|prepare)(?: me| us)? (?:a|an|the) (?:demand letter|legal (?:letter|notice)|letter before action|affidavit|complaint to the court|contract|lease)\b",
    r"\b(?:what|which|how long|how many years) .{0,20}\b(?:sentence|prison|jail)\b.{0,20}\b(?:will|would|could|can|do|get|face)\b|\b(?:go|going) to (?:prison|jail) for\b",
    r"\bhow (?:do|can|could) i (?:contest|challenge|fight)\b.{0,30}\bwill\b|\bstatute of limitations\b",
    r"\b(?:get|way) out of (?:my|the|a|this) (?:lease|contract|prenup)\b.{0,20}\b(?:legally|without being sued)\b",
];

pub(super) const TAX_EVASION: &[&str] = &[
    r"\b(?:hide|hiding|conceal|stash)\b.{0,40}\b(?:from|where) (?:the )?(?:irs|hmrc|tax ?man|tax|government|finanzamt|revenue|cra|ato|state|authorities)\b",
    r"\b(?:hide|hiding|conceal) (?:my |some |the |our )?(?:cash |extra |foreign |rental )?(?:income|earnings|profits?|revenue|cash|money|crypto)\b.{0,40}\btax(?:es|man)?\b",
    r"<ask>.{0,40}\b(?:evad(?:e|ing) (?:paying )?(?:the |my |income )?tax(?:es)?|commit tax (?:fraud|evasion)|cheat(?:ing)? (?:on )?(?:my |the )?tax(?:es)?(?: return| office)?|dodg(?:e|ing) (?:the |my |income |inheritance )?tax(?:es|man)?)\b",
    r"\bwithout (?:declaring|reporting|telling|informing)\b.{0,40}\b(?:irs|hmrc|tax(?:es|man)?|tax office|authorities|income|them|it|return|government)\b",
    r"<ask>.{0,30}\b(?:not|avoid|skip|stop|leave out|omit|get around|without) (?:to )?(?:report|reporting|declare|declaring)\b",
    r"<ask>.{0,40}\b(?:leave|leaving|omit|omitting|keep|keeping) .{0,40}\b(?:off|out of|from) (?:my |the )?(?:tax return|taxes|books|irs|hmrc|tax office)\b",
    r"<ask>.{0,50}\b(?:under the table|off the books|cash in hand)\b.{0,60}",
    r"\b(?:fake|fabricated?|false|forged?|made[- ]up|invented?|phon(?:y|ey)) (?:some )?(?:receipts?|invoices?|donations?|deductions?|expenses?|dependents?|business expenses)\b",
    r"\b(?:fake|inflat\w+|invent|make up|forge|fabricate|backdate|exaggerate)\b.{0,20}\b(?:receipts?|invoices?|donations?|deductions?|expenses|dependents?)\b.{0,60}",
    r"\b(?:offshore|shell compan\w+|swiss (?:bank )?account|panama|cayman\w*|secret account)\b.{0,80}\b(?:hide|secret\w*|never find|can'?t find|won'?t find|not (?:report|declare)|evade|dodge|escape tax|(?:avoid|stop) paying)\b",
    r"\b(?:lie|lying) (?:on|to|about)\b.{0,30}\b(?:tax return|tax(?:es)?|irs|hmrc|tax office|taxman)\b|\bunder-?(?:report|declare|state)\w* (?:my |our |the )?(?:income|sales|tips|earnings|revenue|cash)\b",
    r"\b(?:get away with|without (?:getting|being) caught|never (?:find|notice|catch)|won'?t (?:find|notice|catch))\b.{0,60}\b(?:tax(?:es|man)?|irs|hmrc|undeclared)\b|\b(?:tax(?:es)?|undeclared)\b.{0,60}\b(?:get away with|without (?:getting|being) caught)\b",
    r"\blaunder(?:ing)?\b.{0,20}\b(?:money|cash|my|funds)\b|\b(?:split|structur\w+|smaller|under)\b.{0,40}\bdeposits?\b.{0,50}\b(?:bank|irs|nobody|they|it)\b.{0,20}\b(?:not|doesn'?t|don'?t|won'?t|isn'?t) (?:report\w*|notice|flag\w*|see)\b",
    r"\b(?:how (?:can|do|could|to)|ways? to|trick to) (?:i |we |you )?(?:legally )?(?:not|never|get out of|stop|avoid) pay(?:ing)? (?:any )?(?:income )?tax(?:es)?\b.{0,12}\b(?:on|for|from) (?:my |the )?(?:cash|side|second|undeclared|black|secret)\b",
    r"\bwhat if i (?:just )?(?:do not|don'?t|never|stop) (?:declare|report|declaring|reporting)\b|\b(?:simply|just) not (?:declare|report)\b",
    r"\b(?:teach|show|explain to) me (?:how )?(?:to )?(?:do |commit |about )?tax (?:evasion|fraud)\b|\b(?:deduct|claim|write off|expense) (?:for )?(?:invented|fake|fictional|imaginary|private .{1,20} as business|nonexistent|non-existent)\b",
];

pub(super) const STOCK_TIP: &[&str] = &[
    r"\b(?:should|shall|would|do|must|can) (?:i|we|you)\b.{0,25}\b(?:buy|sell|short|hold|keep|dump|get into|invest (?:\S+ )?in|bet on|go long on)\b (?:more |my |some |all |the |of |into |any |in )*<company>(?:'s)?(?: (?:stock|shares?|calls?|puts?|options?|now|today|this (?:week|month|year)|at this price|before .{1,20}|or (?:wait|sell|hold|buy)).{0,40})?[?.! ]*$",
    r"\b(?:should|shall|would you|worth|(?:good|right|best) time to|smart to)\b.{0,30}\b(?:buy|sell|hold|short|dump|buying|selling|holding)\b.{0,20}<company>(?:'s)? (?:stock|shares?|calls?|puts?|options?)\b",
    r"\b(?:should|shall|(?:good|right|best) time to|when (?:do|to|should)|smart to|worth)\b.{0,25}\b(?:buy|buying|sell|selling|get into|getting into|invest in)\b.{0,15}<coin>.{0,25}\b(?:now|today|tomorrow|this (?:week|month|year)|before|at this price|the dip|or (?:wait|sell|hold)|still)\b",
    r"\b(?:will|is|are|does|when will|can) (?:the )?(?:price of )?(?:<company>|<coin>)(?:'s)?(?: (?:stock|shares?|price|share price|stock price))?(?: (?:really|ever|likely|still))* (?:going to |to |gonna )?(?:go(?:ing)? (?:up|down|to)|rise|fall|crash|moon|drop|rally|hit|reach|recover|double|triple|explode|a (?:good )?buy|undervalued|overvalued)\b",
    r"\b(?:which|what|best|top|hot|hottest|promising|undervalued|cheap|good)\b(?: \S+){0,3} (?:stocks?|shares|coins?|cryptos?|altcoins?|tokens?|tickers?)\b.{0,25}\b(?:to (?:buy|own|get|pick|watch)|(?:should|shall|do|would|can) (?:i|we|you) (?:buy|pick|get|own|choose|recommend|suggest|like)|right now|today|tomorrow|this (?:week|month|year)|next (?:week|month|year)|will (?:go up|explode|moon|double|rise)|for (?:20[0-9]{2}|quick|fast|short[- ]term))\b",
    r"\b(?:pick|recommend|suggest|give|tell|name|list)(?: me| us)? (?:a|one|some|any|two|three|four|five|ten|[0-9]+|the best|a few|good|your (?:top|favou?rite|best))(?: \S+){0,3} (?:stocks?|shares|coins?|tickers?|cryptos?|altcoins?)\b",
    r"\b(?:stock|share|crypto|trading|coin|insider|hot) (?:tips?|picks?|signals?)\b|\bprice (?:target|prediction|forecast) (?:for|of|on)\b|\b(?:<company>|<coin>) price (?:target|prediction|forecast)\b",
    r"\b(?:the )?next (?:tesla|bitcoin|apple|amazon|nvidia|gamestop|big (?:stock|coin|crypto)|10x|100x|meme ?(?:stock|coin))\b",
    r"\b(?:should|shall|would|do) (?:i|we|you)\b.{0,20}\b(?:buy|sell|short|hold|dump)\b.{0,20}\$[a-z]{2,5}\b|\bthoughts on (?:\$[a-z]{1,5}|<company> (?:stock|shares))\b",
    r"\b(?:should|shall) (?:i|we) (?:buy|sell|exercise|trade|short)\b.{0,20}\b(?:call options?|put options?|calls|puts|futures|this stock|this coin|this share|that stock|penny stocks?)\b",
    r"\bwhat (?:do you think|is your (?:opinion|view|take)|are your thoughts) (?:of|on|about) (?:\$[a-z]{1,5}|<company>(?:'s)? (?:stock|shares?)|(?:buying|selling) <company>)\b",
    r"\b(?:should|shall|can) (?:i|we) (?:put|move|invest) .{0,30}\b(?:in|into|on) <company>(?:'s)?(?: (?:stock|shares?))?[?.! ]*$",
    r"\b(?:is|would) (?:it |now |this |today )*(?:be )?(?:a |the )?(?:good|right|bad|best|smart) (?:time|moment|idea) to (?:buy|sell|short|get into|invest in) (?:<company>|<coin>)\b",
    r"\b(?:what|where) will (?:the )?(?:s&p(?: 500)?|dow(?: jones)?|nasdaq|dax|ftse(?: 100)?|nikkei|market|stock market|<coin>|<company>)(?: (?:stock|shares?|price))? (?:do|be|go|stand|trade|close|cost|end)\b",
    r"^(?:the )?(?:best|top|hottest|good)(?: \S+){0,2} (?:stocks?|shares|coins?|altcoins?|cryptos?)(?: for \S+| now| ever)?[?.! ]*$|\b(?:buy|sell|hold),? (?:or|and) (?:buy|sell|hold) <company>\b",
    r"\b(?:pick|choose|select|find)(?: me| us)? (?:\S+ )?(?:stocks|coins|shares|altcoins) for (?:me|us)\b",
    r"\b(?:should|shall|would) (?:i|we|you) (?:buy|sell|pick|choose|hold) <company> or <company>\b|\b(?:is|are) <company>(?:'s)?(?: (?:stock|shares?))? (?:a |an )?(?:(?:good|great|safe|bad|solid|smart|best) )+(?:investment|bet|stock|buy|choice to invest)\b",
];

/// A pattern with its lists filled in.
pub(super) fn fill(phrase: &str) -> String {
    phrase
        .replace("<company>", COMPANY)
        .replace("<coin>", COIN)
        .replace("<ask>", ASK)
        .replace("<drug>", DRUG)
        .replace("<illness>", ILLNESS)
}

const ASK: &str = r"\b(?:how|can|could|should|may|help me|want to|ways?|trick|best|teach me|tell me|show me|is there|going to|need to|let me|possible|safe|i'?ll|if i)\b";

const COMPANY: &str = r"(?:tesla|tsla|apple|aapl|nvidia|nvda|amazon|amzn|google|alphabet|goog|microsoft|msft|meta|facebook|netflix|nflx|gamestop|gme|amc|palantir|pltr|intel|amd|boeing|disney|alibaba|nio|rivian|coinbase|ford|shell|bp|exxon|pfizer|moderna|novo nordisk|asml|sap|siemens|bayer|volkswagen|bmw|nestl[eé]|toyota|samsung|tsmc|berkshire(?: hathaway)?|jpmorgan|reliance|tata motors|infosys|adani|arm|uber|airbnb|spotify|snowflake|oracle|ibm|starbucks|nike|lvmh)";

const COIN: &str = r"(?:bitcoins?|btc|ethereum|ether|eth|solana|sol|dogecoin|doge|xrp|ripple|cardano|ada|shiba(?: inu)?|pepe ?coin|litecoin|bnb|crypto|gold|silver)";

const DRUG: &str = r"\b(?:ibuprofen|aspirin|paracetamol|acetaminophen|tylenol|advil|antidepressants?|insulin|medications?|medicines?|meds|pills?|tablets?|antibiotics?|statins?|xanax|valium|ozempic|metformin|painkillers?|sleeping pills?|beta[- ]?blockers?|blood thinners?|melatonin|vitamin d|cough syrup)\b";

const ILLNESS: &str = r"\b(?:rash|fever|pain|backache|back pain|headaches?|migraines?|cough|flu|influenza|infections?|depression|anxiety|diabetes|cancer|a cold|acne|insomnia|blood pressure|adhd|asthma|dizzy|dizziness|lump|swollen|swelling|nausea|vomiting|panic attacks?|arthritis|eczema|covid|pneumonia|strep|heart attack|stroke|burn(?:s|out)?|sprain|fracture)\b";
