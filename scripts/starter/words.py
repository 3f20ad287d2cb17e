"""Names and values: lists of words plus made-up ones, split into a training and a held-out part.

A word belongs to the held-out part by its checksum, so both parts stay the same from run to run. A few words that
nearly every schema has (`name`, `city`, `price`) are in both.
"""

import collections
import zlib

SHARED = set("name title city price status date amount total quantity category country email year".split())

ENTITIES = """customer order product employee department student course teacher book author library member loan
invoice payment supplier shipment warehouse store branch account transaction card client project task ticket
vehicle car driver trip route flight airport airline passenger hotel room guest booking restaurant dish recipe
ingredient movie actor director album artist song track concert venue event team player match league stadium coach
doctor patient hospital clinic appointment treatment drug farm crop field animal shelter zoo museum painting
exhibit gallery school classroom exam grade house apartment building tenant lease agent property city country
region river mountain lake island bridge station train bus stop line parcel courier package contract lawyer
case court judge policy claim budget expense bank fund stock bond trader portfolio device sensor reading machine
part factory worker shift server service incident alert user post comment message photo video channel playlist
game level score tournament club gym trainer class session garden plant seed tree forest park trail tour guide
boat ship port harbor container crane truck tire garage mechanic repair camera lens film studio actress poem
poet novel magazine article journalist newspaper survey answer question vote party candidate election district
school_bus festival ceremony award sponsor donor charity grant experiment sample lab chemist compound mineral
planet star telescope satellite rocket mission crew engine battery panel turbine plant_site meter bill tariff
phone plan subscriber call tower cable router firm office desk chair lamp table_set sofa carpet shelf shop
cashier receipt coupon basket brand perfume jacket shoe shirt watch ring necklace coin stamp toy puzzle doll
bicycle helmet skater surfer runner race lap medal referee whistle bakery bread cake cheese wine beer vineyard
barrel coffee tea mill spice fisher boat_yard net whale bird nest beekeeper hive honey dog cat horse rider
stable kennel vet vaccine nurse ward dentist clinic_visit therapist pharmacy tailor fabric loom quilt potter
vase kiln sculptor statue mason quarry brick tile roof plumber pipe valve pump well dam reactor""".split()

TEXT_NOUNS = """name title city country status category color brand region type genre language email phone
material owner manager address street label code position role level state nationality occupation specialty
condition shape flavor style model format platform origin destination source gender unit currency zone section
team sponsor method reason priority mood theme season topic rank breed habitat cuisine size grade_letter surname
nickname author editor publisher producer vendor carrier sector industry faculty major degree district county
province village planet climate terrain texture pattern finish fuel engine gear""".split()

INTEGER_NOUNS = """age quantity stock year rating score capacity population floor seats pages points visits goals
votes stars rooms units items members laps wins losses minutes hours days miles copies views likes employees
students attempts errors doors wheels credits chapters episodes downloads clicks tokens shares matches calls
bedrooms tables orders passengers followers streams branches grade rank level size""".split()

REAL_NOUNS = """price amount salary weight height distance cost discount balance total fee revenue profit budget
width length depth speed temperature area volume tax rate bonus rent wage income deposit interest fare tip
pressure voltage humidity energy power density mass radius duration premium penalty charge expense margin
turnover share yield dose""".split()

DATE_NOUNS = """date birthday deadline""".split()
DATE_HEADS = """order hire birth due start end release founding opening closing delivery payment signup visit
purchase booking expiry creation update arrival departure invoice return launch repair exam wedding inspection
renewal shipping issue""".split()

MODIFIERS = """home work first last main old new net gross base daily monthly annual total average unit list
billing shipping local foreign primary backup current previous next short long public private inner outer upper
lower north south east west early late minimum maximum target actual planned spare final early internal""".split()

ADJECTIVES = """active inactive open closed pending paid unpaid shipped delivered cancelled new used red green blue
black white yellow orange purple silver gold small medium large tiny huge high low normal urgent fresh dry wet hot
cold warm soft hard light dark plain rare common basic premium standard deluxe junior senior expert beginner full
empty broken fixed draft final approved rejected expired valid hidden public private north south east west winter
summer spring autumn daily weekly monthly yearly wooden metal plastic glass cotton leather silk paper steel sweet
sour bitter salty spicy round square flat steep calm wild quiet loud fast slow""".split()

PROPER = """Oslo Paris Berlin Madrid Rome Lisbon Vienna Prague Dublin London Warsaw Athens Helsinki Stockholm
Copenhagen Amsterdam Brussels Zurich Geneva Milan Naples Turin Venice Porto Seville Valencia Lyon Nice Marseille
Hamburg Munich Cologne Tokyo Osaka Kyoto Seoul Busan Beijing Shanghai Delhi Mumbai Chennai Lahore Karachi Dhaka
Manila Jakarta Bangkok Hanoi Cairo Lagos Nairobi Accra Tunis Rabat Lima Quito Bogota Santiago Havana Boston
Chicago Denver Austin Dallas Houston Seattle Portland Phoenix Atlanta Miami Toronto Montreal Ottawa Calgary
Sydney Perth Brisbane Auckland Anna Ben Clara David Elena Felix Greta Hugo Ines Jonas Kira Leon Maria Nora Omar
Paula Quinn Rosa Samir Tara Ugo Vera Walter Xenia Yusuf Zoe Alice Bruno Carla Diego Emma Farid Gina Hana Ivan
Julia Karim Laura Marco Nina Oscar Petra Ravi Sofia Tomas Ursula Victor Wanda Smith Jones Garcia Miller Weber
Fischer Rossi Silva Kumar Chen Tanaka Novak Kowalski Jensen Larsen Moreau Dubois Martin Bauer Keller Sales
Marketing Finance Engineering Support Research Legal Design Logistics Security Sports Music History Physics
Biology Chemistry Math Drama Comedy Horror Jazz Rock Pop Classical Fiction Poetry Science Travel Fashion Food
Electronics Furniture Clothing Garden Toys Tools Books Health Beauty Germany France Spain Italy Portugal Austria
Poland Norway Sweden Denmark Finland Japan Korea China India Brazil Mexico Peru Chile Canada Kenya Egypt Ghana
Toyota Honda Ford Volvo Fiat Nokia Sony Lego Nike Puma Apex Nova Orion Atlas Vega Titan Zenith Delta Omega""".split()

ONSETS = "b c d f g h j k l m n p r s t v w z br cr dr fl gr kl pl pr sk st tr sh th ch qu bl sn sp".split()
VOWELS = "a e i o u a e i o u a e i o u ai ea ou".split()
CODAS = [""] * 10 + "n r l s x m t n r l st rk nd".split()


# Share of words in training that only look like those of the lists, and of those the share that is made of tokens.
ALIKE = 0.5
PARTS = 0.4


def held_out(word):
    """Whether `word` is kept for the evaluation."""
    return word not in SHARED and zlib.crc32(word.encode()) % 6 == 0


def plural(noun):
    """The plural as table names have it."""
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    return noun + "s"


class Words:
    """Draws words of one part; `rng` is a `random.Random`.

    `parts` are the tokens of which some words are made, so that each has been written: a model does not copy what it
    never wrote.
    """

    def __init__(self, rng, evaluation, parts=()):
        self.rng = rng
        self.evaluation = evaluation
        self.parts = parts
        self.lists = {}
        for key in ("ENTITIES", "TEXT_NOUNS", "INTEGER_NOUNS", "REAL_NOUNS", "DATE_NOUNS", "DATE_HEADS"):
            self.lists[key] = self.part(globals()[key])
        for key in ("MODIFIERS", "ADJECTIVES", "PROPER"):
            self.lists[key] = self.part(globals()[key])
        self.followers = collections.defaultdict(list)
        for word in (part.lower() for words in self.lists.values() for word in words for part in word.split("_")):
            for place in range(len(word) + 1):
                self.followers[word[max(place - 2, 0) : place]].append(word[place : place + 1])

    def part(self, words):
        """The words of this part, with the shared ones in both."""
        return [w for w in words if w in SHARED or held_out(w) == self.evaluation]

    def one(self, key):
        """One word of a list; in training often one that only looks like its words, as lists are soon known by heart."""
        if not self.evaluation and self.rng.random() < ALIKE:
            word = self.of_parts() if self.parts and self.rng.random() < PARTS else self.alike()
            return word.capitalize() if key == "PROPER" else word
        return self.rng.choice(self.lists[key])

    def alike(self):
        """A word that no list has, whose letters follow one another as in the words of the lists."""
        while True:
            word = ""
            while len(word) < 12:
                letter = self.rng.choice(self.followers[word[-2:]])
                if not letter:
                    break
                word += letter
            if len(word) >= 3 and held_out(word) == self.evaluation:
                return word

    def of_parts(self):
        """A word of two or three tokens."""
        while True:
            word = "".join(self.rng.choices(self.parts, k=self.rng.choice((2, 2, 2, 3))))
            if 3 <= len(word) <= 14 and held_out(word) == self.evaluation:
                return word

    def made_up(self):
        """A word that no list has, of two or three syllables."""
        while True:
            syllables = self.rng.choice((1, 2, 2, 2, 2, 3))
            word = "".join(
                self.rng.choice(ONSETS) + self.rng.choice(VOWELS) + self.rng.choice(CODAS)
                for _ in range(syllables)
            )
            if len(word) >= 3 and held_out(word) == self.evaluation:
                return word

    def noun(self):
        """A thing: mostly from the list, sometimes made up."""
        return self.made_up() if self.rng.random() < 0.3 else self.one("ENTITIES")

    def proper(self):
        """A capitalised name."""
        return self.made_up().capitalize() if self.rng.random() < 0.5 else self.one("PROPER")
