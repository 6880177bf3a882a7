"""The three people of the demo's firm, and everybody who writes to them."""

from dataclasses import dataclass
from enum import Enum

DOMAIN = "firm.test"
FIRM = "The Paper Firm"


class Quoting(Enum):
    """How somebody's mail program treats the message that is answered."""

    BELOW = "below"
    ABOVE = "above"
    LAST = "last"  # below, without what that message quoted itself
    NONE = "none"


@dataclass(frozen=True)
class Person:
    """``charset`` and ``html`` are what the person's mail program writes."""

    name: str
    address: str
    signature: str = ""
    quoting: Quoting = Quoting.BELOW
    charset: str = "utf-8"
    html: bool = False

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


COLLEAGUES = {
    "alice": Person("Alice Winter", f"alice@{DOMAIN}", f"Alice Winter\n{FIRM}"),
    "bob": Person("Bob Summers", f"bob@{DOMAIN}", f"Bob Summers\n{FIRM}, sales", Quoting.LAST),
    "carol": Person("Carol Spring", f"carol@{DOMAIN}", f"Carol Spring\n{FIRM}, store room"),
}

_CUSTOMERS = {
    "mira": Person("Mira Holm", "mira@holm-books.example", "Holm Books\nChurch Street 11"),
    "jonas": Person("Jonas Beck", "jonas@cafe-beck.example", "", Quoting.NONE),
    "hannah": Person("Hannah Lind", "hannah.lind@post.example", "", Quoting.BELOW, html=True),
    "priya": Person(
        "Priya Nair", "priya@nair-gifts.example", "Sent from my telephone", Quoting.NONE
    ),
    "tom": Person(
        "Tom Ashby", "tom@ashby-school.example", "Ashby & Daughters\nEverything for school"
    ),
    "lucas": Person(
        "Lucas Ferreira", "lucas@hotel-miramar.example", "Hotel Miramar", charset="iso-8859-1"
    ),
    "claire": Person(
        "Claire Dubois", "c.dubois@musee.example", "Musée du Papier\nLa boutique", html=True
    ),
    "farida": Person(
        "Farida Aziz", "office@aziz-architects.example", "Aziz Architects\nHarbour Road 2"
    ),
    "elena": Person(
        "Елена Соколова", "sokolova@skrepka.example", "Магазин «Скрепка»", charset="windows-1251"
    ),
    "olga": Person("Ольга Белова", "belova@raduga.example", "Детский центр «Радуга»"),
}

_SUPPLIERS = {
    "henrik": Person(
        "Henrik Dahl", "henrik@dahl-papermill.example", "Dahl Paper Mill\nMill Road 1"
    ),
    "greta": Person("Greta Novak", "greta@novak-inks.example", "Novak Inks", html=True),
    "ben": Person("Ben Osei", "ben@osei-machines.example", "Osei Machines", Quoting.ABOVE),
    "ingrid": Person("Ingrid Moe", "ingrid@northline-it.example", "Northline IT", Quoting.LAST),
    "ruben": Person("Ruben Sand", "ruben@sand-shelves.example", "Sand Shelves"),
    "dmitry": Person("Дмитрий Орлов", "d.orlov@orlov-print.example", "Типография «Орлов и сын»"),
    "kovalev": Person(
        "Сергей Ковалёв", "kovalev@skoro-gruz.example", "", Quoting.NONE, charset="koi8-r"
    ),
    "natalia": Person(
        "Наталья Фролова", "frolova@upak.example", "Наталья Фролова\nООО «Упак»", html=True
    ),
    "tamara": Person("Тамара Ильина", "ilyina@chisty-dom.example", ""),
}

_OFFICES = {
    "keller": Person(
        "Martin Keller", "keller@keller-tax.example", "Keller Tax Advisers\nRing Road 8", html=True
    ),
    "engel": Person("Ruth Engel", "engel@engel-houses.example", "", Quoting.BELOW),
    "paula": Person("Paula Stein", "p.stein@harbour-insurance.example", "Harbour Insurance"),
    "leo": Person("Leo Marchetti", "marchetti@harbour-gazette.example", ""),
    "anders": Person(
        "Anders Vik", "anders@spring-market.example", "Spring Market, by the fountain"
    ),
    "maria": Person("Мария Лебедева", "maria.lebedeva@pochta.example", ""),
}

_MACHINES = {
    "swift": Person("Swift Parcels", "noreply@swiftparcels.example"),
    "bank": Person("Meadow Bank", "service@meadow-bank.example"),
    "shop": Person("Web shop", "shop@paper-firm.example"),
    "backup": Person("Backup", "backup@northline-it.example"),
    "rail": Person("Railways", "tickets@railways.example"),
    "energo": Person("Энергосбыт", "noreply@energo.example"),
    "gruz": Person("Скоро-Груз", "robot@skoro-gruz.example", charset="koi8-r"),
    "calendar": Person("Календарь", "calendar@northline-it.example"),
    "postmaster": Person("Mail Delivery System", f"mailer-daemon@{DOMAIN}"),
    "prize": Person("Prize Department", "winner@lucky-draw.example"),
    "seo": Person("Growth Team", "kevin@first-place.example"),
    "fakepost": Person("Administration", "admin@mailbox-upgrade.example"),
}

_NEWSLETTERS = {
    "mill": Person("Dahl Paper Mill", "news@dahl-papermill.example"),
    "fair": Person("Stationery Fair", "exhibitors@stationery-fair.example"),
    "museum": Person("Le Musée", "lettre@musee.example"),
    "library": Person("City Library", "diary@city-library.example"),
    "inks": Person("Novak Inks", "colours@novak-inks.example"),
    "northline": Person("Northline IT", "notes@northline-it.example"),
    "railways": Person("Railways", "offers@railways.example"),
    "chamber": Person("Chamber of Trade", "circular@chamber.example"),
    "cycling": Person("Slow Wheels", "club@slow-wheels.example"),
    "seeds": Person("Old Garden Seeds", "hello@old-garden-seeds.example"),
    "skrepka": Person("Магазин «Скрепка»", "novosti@skrepka.example"),
    "paper_museum": Person("Музей бумаги и печати", "afisha@muzey-bumagi.example"),
    "recipes": Person("Тёплая кухня", "pismo@teplaya-kuhnya.example"),
}

OUTSIDERS = _CUSTOMERS | _SUPPLIERS | _OFFICES
EVERYBODY = COLLEAGUES | OUTSIDERS | _MACHINES | _NEWSLETTERS
