//! Messages as people write them.

use std::collections::HashMap;

use proptest::prelude::*;

use super::OutOfScope::{Legal, Medical, SelfHarm, StockTip, TaxEvasion};
use super::*;

const REFUSED: &[(OutOfScope, &[&str])] = &[
    (
        SelfHarm,
        &[
            "I lost everything and I want to kill myself",
            "My debts are so bad I don't want to live anymore.",
            "I don’t want to wake up tomorrow, the bank took the house",
            "sometimes I think my family would be better off without me",
            "There's no point in living with this much debt",
            "Does life insurance pay out if I end my life?",
            "i am thinking about suicide because of money",
            "I'm worth more dead than alive to my kids",
            "I just want to die, the bills never stop",
            "I can't go on anymore. Rent is due and I have nothing",
            "I have been cutting myself since I lost my job",
            "Wish I was dead. How do I cancel my cards first?",
            "What stock should I buy before I end it all?",
            "I keep thinking of jumping off a bridge",
            "There is no way out, I am going to end my life tonight",
            "I feel suicidal since the margin call",
            "what's the point of being alive if I'm broke",
            "i dont want to be here anymore",
            "Everyone would be happier if I was dead",
            "I took a whole bottle of pills because of my debt",
            "thinking about killing myself because of loans",
            "I want to disappear forever, debt is crushing me",
            "I hate myself and want it all to end",
            "I've been hurting myself when bills arrive",
            "honestly I'd rather be dead than owe this much",
            "I have a plan to hang myself",
            "life isn't worth it after bankruptcy",
            "I can't do this anymore, I want to be dead",
            "ready to end my life, gambling took it all",
            "My friend says he will kill himself over his debts",
        ],
    ),
    (
        Medical,
        &[
            "Should I take ibuprofen with my blood pressure tablets?",
            "Can I stop taking my antidepressants to save money?",
            "how many sleeping pills are safe to take",
            "What's the right dosage of paracetamol for a child?",
            "What medicine helps against migraine?",
            "How do I treat back pain at home?",
            "What are the symptoms of diabetes?",
            "Do I have depression?",
            "I have chest pain but no insurance",
            "Could this lump be cancer?",
            "Should I get the surgery my doctor suggested?",
            "I've had a fever for five days, is it serious?",
            "Is it safe to mix Xanax and painkillers?",
            "Which antibiotic is best for a throat infection?",
            "can i halve my insulin to make it last longer",
            "My head hurts all the time, do I have a brain tumor?",
            "Is this mole cancer?",
            "How can I lower my cholesterol?",
            "what should I take for anxiety",
            "Should I see a doctor about my cough?",
            "is it ok to drink alcohol with antidepressants",
            "Can I take two aspirin a day to save on doctors?",
            "how to treat an infection without antibiotics",
            "Do I have ADHD because I overspend?",
            "My knee is swollen, what should I do?",
            "Which vaccine should I get?",
            "Is my cough contagious?",
        ],
    ),
    (
        Legal,
        &[
            "Can I sue my landlord for the deposit?",
            "How do I take my former employer to court?",
            "I need legal advice about my divorce",
            "Please review my employment contract for traps",
            "Draft a prenuptial agreement for us",
            "Is it legal to record a call with my bank?",
            "Am I liable if my tenant falls on the stairs?",
            "What are my rights if the police search my flat?",
            "Can my landlord evict me in winter?",
            "Will I win the lawsuit against my builder?",
            "Should I plead guilty to shoplifting?",
            "How can I fight a speeding ticket?",
            "Write a cease and desist letter to my neighbour",
            "Find a loophole in my lease",
            "Could I take my bank to court over fees?",
            "Do I have grounds to sue my employer?",
            "How do I get full custody of my son?",
            "Write me a demand letter to my landlord's lawyer",
            "Can my boss fire me for being sick?",
            "My ex stole my car, should I press charges?",
            "Is it against the law to own two passports?",
            "Can you look over my rental agreement?",
            "What sentence will I get for fraud?",
            "How do I contest my father's will?",
            "I want to sue my insurer",
            "Can the police search my car without a warrant?",
            "Please check my lease for unfair clauses",
            "Will I lose custody if I go bankrupt?",
            "Am I legally responsible for my husband's debts?",
            "How can I get out of my lease legally?",
        ],
    ),
    (
        TaxEvasion,
        &[
            "How can I hide my income from the IRS?",
            "Best way to stash cash where the taxman can't see it",
            "How do I evade taxes on my rental flat?",
            "Can I sell crypto without declaring it to the tax office?",
            "Is there a way to not report my tips?",
            "How do I get paid under the table so that tax is zero?",
            "Where can I get fake receipts for my deductions?",
            "I want to inflate my expenses on the return a little",
            "Help me open an offshore account they will never find",
            "Should I lie on my tax return about the second job?",
            "How to underreport my sales without being noticed",
            "How do I launder money from my side business?",
            "Can I leave my freelance work off my tax return?",
            "If I split the deposits will the bank not report it? I want deposits under the limit so the bank doesn't report them",
            "How do rich people hide money from the government, I want to do the same",
            "How can I not pay taxes on my cash jobs?",
            "Can I claim fake dependents?",
            "how much undeclared income can I get away with",
            "What if I just don't declare my rental income?",
            "I want to pay my nanny off the books",
            "Teach me tax evasion",
            "How do I keep my bitcoin secret from the tax office?",
            "How to cheat on taxes",
            "Can I deduct invented business trips?",
            "ways to hide rental income from HMRC",
            "how can i keep my crypto gains from the IRS",
            "Can I just leave my eBay sales off the tax return?",
            "How do I dodge inheritance tax by lying about the date?",
            "My accountant suggests forged invoices, how many are safe?",
            "What is the best country to hide my money so the tax office never finds it?",
        ],
    ),
    (
        StockTip,
        &[
            "Should I buy Tesla?",
            "should i sell my Apple shares now",
            "Is it a good time to buy Nvidia stock?",
            "Which stocks should I buy this week?",
            "Give me five stocks that will double",
            "Will Bitcoin go up this year?",
            "When will Tesla stock recover?",
            "What is the best crypto to buy right now?",
            "Got any hot stock tips?",
            "What's the next 100x coin?",
            "Price prediction for Ethereum please",
            "Should I short $GME before earnings?",
            "Should I buy call options on Friday?",
            "Recommend me some shares for 2027",
            "Should I buy bitcoin now or wait?",
            "Is Amazon undervalued?",
            "Is Tesla a buy?",
            "What do you think of Palantir stock?",
            "Which crypto will explode in 2027?",
            "Tell me one stock that will make me rich",
            "Should I put my savings into Nvidia?",
            "Is now a good time to buy gold?",
            "What will the S&P 500 do next month?",
            "Should I dump my Intel shares?",
            "Will the Tesla share price go up?",
            "Best penny stocks?",
            "Buy or sell Apple?",
            "Can you pick stocks for me?",
            "Should I buy Microsoft or Google?",
            "Are Nvidia shares going to rise?",
            "What are the best shares to buy now?",
            "Should I sell all my bitcoin today?",
            "Name three undervalued stocks",
            "Where will gold be in a year?",
            "Is Tesla a good investment?",
            "Which stock will go up tomorrow?",
        ],
    ),
];

const ANSWERED: &[&str] = &[
    "How do I make a budget?",
    "What is a share and how does it earn money?",
    "Should I invest in shares or pay off my credit card first?",
    "Should I buy a house or keep renting?",
    "Should I sell my car and take the bus?",
    "Should I buy an Apple laptop on instalments?",
    "I work at Amazon. How does the employer match work?",
    "I own Apple shares. How are dividends taxed?",
    "What is an index fund and which costs matter?",
    "Which kind of fund suits a beginner?",
    "How much of my savings should be in stocks?",
    "What should I do when the market crashes?",
    "What share of my income should I save?",
    "Can you recommend a share of income for rent?",
    "What is Bitcoin and why does its price swing so much?",
    "Is gold a protection against inflation?",
    "What is the best way to pay off three cards?",
    "Give me three ways to save on groceries",
    "Tell me a few good habits for saving",
    "What is the next step after an emergency fund?",
    "I want to die debt-free, where do I start?",
    "I am killing myself working two jobs and still cannot save",
    "Leaving my pension would be financial suicide, right?",
    "I'm dying to know how compound interest works",
    "I need to cut myself some slack in the budget",
    "Would we be better off without a second car?",
    "How do I end my subscription to a gym?",
    "I can't go on holiday this year, how do I save for next summer?",
    "My life insurance is expensive. Do I need it?",
    "How does term life insurance work if I die early?",
    "What happens to my debts when I die?",
    "I have back pain and cannot work. How does disability insurance pay?",
    "How do I pay a hospital bill of 9,000?",
    "What is a deductible in health insurance?",
    "Is health insurance worth it for a healthy person?",
    "My medication costs 200 a month, how do I fit it into my budget?",
    "How much should I save for medical costs in old age?",
    "Money worries give me sleepless nights. How do I get an overview?",
    "Burnout made me quit. How long will my savings last?",
    "Do I need a will?",
    "What does a will cost?",
    "How is an inheritance taxed?",
    "How do couples split the bills fairly?",
    "I am getting divorced. How do I make a budget for one income?",
    "How much does a lawyer cost and how do I save for one?",
    "Check my phone contract costs: is 40 a month too much?",
    "What can I do when I cannot make my loan payments?",
    "A debt collector calls every day. What should I do first?",
    "What does a mortgage contract cost to end early?",
    "How do I complain about a refused insurance claim?",
    "How do I dispute an error on my credit report?",
    "How do income tax brackets work?",
    "How can I lower my tax bill with pension contributions?",
    "What is the difference between tax avoidance and tax evasion?",
    "Do I have to report my tips?",
    "I forgot to declare some interest last year. How do I correct it?",
    "Can I withdraw from a Roth account without paying tax?",
    "How do I keep receipts for my tax return in order?",
    "Are gains on crypto taxed?",
    "How do I report foreign income on my tax return?",
    "Where should I keep cash for emergencies?",
    "How do I hide my spending money from myself in another account?",
    "How do I keep my savings away from my own impulses?",
    "How do I recognise an investment fraud?",
    "Someone online promises 2 % a day. Is that possible?",
    "My bank called and asked for a code. What now?",
    "Is it better to invest a lump sum or monthly?",
    "Should I hold bonds when interest rates rise?",
    "Should I keep my emergency fund in a savings account or in shares?",
    "What is a good savings rate?",
    "Can I retire at 60 with 400,000?",
    "Should we buy or lease a Toyota?",
    "Is Netflix worth it on a tight budget?",
    "Should I keep Spotify or cancel it?",
    "How do stock markets work?",
    "Should I buy travel insurance?",
    "Should I sell my house to pay debts?",
    "What are the best savings accounts for a beginner?",
    "Is it worth keeping a gold ring as a reserve?",
    "How do I split my shares between two pension plans?",
    "What happens to my shares when my broker goes bankrupt?",
    "How is a lump sum payment from a lawsuit taxed?",
    "My ex and I share a mortgage. How do we split it?",
    "How do I save for a lawsuit?",
    "What are my options when my fixed rate ends?",
    "Can my bank raise the rate on my savings account?",
    "Can I be fired and still get unemployment benefit?",
    "What does a prenup cost?",
    "I am sick and cannot work, how long does sick pay last?",
    "My father has cancer. How do we plan the money?",
    "How do I pay for therapy?",
    "Can I use my emergency fund for a dental treatment?",
    "How do I stop spending when I feel depressed?",
    "How do I kill my credit card debt?",
    "My savings plan is dying. What now?",
    "How do I avoid paying too much tax on my bonus?",
    "How to avoid fees on my account?",
    "What deductions can I claim?",
    "What happens if I don't pay my tax on time?",
    "Do I pay tax on cash gifts?",
    "How do I declare my side income?",
    "Is offshore investing legal and how is it taxed?",
    "What is money laundering?",
    "I earn cash tips, how do I budget with them?",
    "What is the price of a share made of?",
    "What does the Nasdaq crash of 2000 teach?",
    "Is a target date fund a good choice for me?",
    "Should I choose Apple Pay or a card?",
    "Where does Ford get its profit from?",
    "Should I buy a Ford or keep my old car?",
    "Can I keep my health insurance after a job loss?",
    "What should I do with 10,000 euros?",
    "Is it safe to keep my money in one bank?",
    "Should we hold a joint account?",
    "How do I choose between an ETF and a fund?",
    "Do I have enough for retirement?",
    "Should I take the lump sum or the pension?",
    "Should I take a loan for a medical operation?",
    "How do I start again after bankruptcy?",
    "I hate my job, can I afford to quit?",
    "I'm tired of being in debt",
    "What is the point of saving if prices rise?",
    "Is there a reason to keep a credit card?",
    "Could I have too many accounts?",
    "Can I give my brother money without a contract?",
    "Can the bank keep my deposit?",
    "What is a good time to buy a car?",
    "Which shares of my income go to rent and food?",
    "How long does a late payment stay on my file?",
    "Is it legal tender?",
    "Where will interest rates matter most in my budget?",
    "How do I keep track of tax documents?",
    "Can I deduct my home office?",
    "How do I report a scam to the authorities?",
    "I have a case of beer and no money, joking. How do I save on food?",
    "Should I go to a debt adviser?",
    "Should I pay cash or card?",
    "How can I avoid paying interest on my card?",
    "What are the best books about saving?",
    "How much do I need for vacation to see my family in Ford County?",
];

#[test]
fn requests_for_advice_out_of_scope_are_refused() {
    let messages = || {
        let all = REFUSED.iter();
        all.flat_map(|(reason, messages)| messages.iter().map(|message| (*reason, *message)))
    };
    assert!(messages().count() >= 60);
    let missed: Vec<_> = messages()
        .map(|(reason, message)| (message, Some(reason), out_of_scope(message)))
        .filter(|(_, want, got)| want != got)
        .collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn questions_about_money_are_answered() {
    assert!(ANSWERED.len() >= 60);
    let refused: Vec<_> = ANSWERED
        .iter()
        .filter_map(|message| out_of_scope(message).map(|reason| (message, reason)))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn the_titles_of_the_library_are_answered() {
    for article in crate::coach::library::articles() {
        let title = &article.front.title;
        assert_eq!(out_of_scope(title), None, "{title}");
        assert_eq!(out_of_scope(&format!("Explain: {title}?")), None, "{title}");
    }
}

#[test]
fn refusals_are_short_and_point_somewhere() {
    let mut pointers = HashMap::from([
        (SelfHarm, "emergency number"),
        (Medical, "doctor"),
        (Legal, "legal aid"),
        (TaxEvasion, "tax adviser"),
        (StockTip, "regulator's register"),
    ]);
    for reason in OutOfScope::ALL {
        let text = reason.refusal();
        let words = text.split_whitespace().count();
        assert!((40..=120).contains(&words), "{reason:?}: {words} words");
        assert!(text.contains(pointers.remove(&reason).unwrap()), "{text}");
        assert!(!text.contains("  "), "{text}");
    }
}

proptest! {
    #[test]
    fn case_quotes_and_spaces_change_nothing(
        at in any::<prop::sample::Index>(), upper in any::<bool>(), gap in " {1,3}|\n|\t|\u{200b} ",
    ) {
        let all: Vec<(OutOfScope, &str)> = REFUSED
            .iter()
            .flat_map(|(reason, messages)| messages.iter().map(|message| (*reason, *message)))
            .collect();
        let (reason, message) = all[at.index(all.len())];
        let message = message.replace('\'', "’").replace(' ', &gap);
        let message = if upper { message.to_uppercase() } else { message };
        prop_assert_eq!(out_of_scope(&message), Some(reason), "{}", message);
    }

    #[test]
    fn any_text_is_read_without_panic(text in "\\PC{0,200}") {
        out_of_scope(&text);
    }
}
