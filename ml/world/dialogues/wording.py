"""What people and the assistant say, as alternatives with places to fill.

`{item}` is a product as people call it, `{title}` as the catalogue does. The alternatives are such that no word
tells a label: complaints without "no" and "wrong", requests with both; new tasks without "also",
and follow-ups with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Intent(NamedTuple):
    """One task of the shop: how it is asked for plainly, how loosely, and what may come back."""

    name: str
    domain: str
    plain: tuple[str, ...]
    again: tuple[str, ...]
    done: tuple[str, ...]
    failed: tuple[str, ...]


INTENTS: tuple[Intent, ...] = (
    Intent("find_item", "search",
        ("find me {item}", "i'm looking for {item}", "do you have {item}", "show me {item}", "search for {item}",
         "i want to see {item}", "i'd like {item} for the house", "what have you got in {item}", "look up {item}"),
        ("{item} is what i'm looking for", "search {item}", "it's {item} i want to see", "look for {item}"),
        ("I found {title}. It is well reviewed.", "Here is {title}.", "We have {title}, ready to ship.",
         "The closest is {title}. Shall I tell you more?", "There's {title} at the top of the list."),
        ("I have nothing like that at the moment.", "The search came back empty.", "That isn't something we carry.",
         "I looked, and there is no such thing on the shelves.")),
    Intent("add_to_basket", "basket",
        ("add {item} to my basket", "put {item} in the basket", "i'll take {item}", "buy {item}",
         "order {item} for me",
         "get me {item}", "{item} goes in my cart", "i want to buy {item}", "throw {item} in the basket"),
        ("into the basket with {item}", "i want {item} in my basket", "buy {item} i mean", "order {item}"),
        ("{title} is in your basket.", "Done, I've added {title}.", "Added. Your basket now has {title}.",
         "One {title}, got it. Anything with that?", "Sure, {title} it is."),
        ("I couldn't change your basket just now.", "The basket didn't take it.",
         "That one can't be bought at present.",
         "It went out of stock a moment ago.")),
    Intent("remove_from_basket", "basket",
        ("take {item} out of my basket", "remove {item}", "i don't want {item} any more", "drop {item} from the cart",
         "scratch {item} off the list", "forget {item}", "leave out {item}", "no {item} this time, take it out"),
        ("out with {item} i said", "{item} should not be in there", "take out {item}",
         "remove {item} from the basket"),
        ("{title} is out of the basket.", "Removed {title}.", "OK, without {title}.", "I took {title} off."),
        ("I couldn't change your basket just now.", "It is still in the basket, the change didn't go through.",
         "Your basket is locked for checkout.", "There was a problem with the basket.")),
    Intent("check_price", "search",
        ("how much is {item}", "what does {item} cost", "price of {item}", "what would i pay for {item}",
         "tell me the price of {item}", "is {item} expensive", "what are you asking for {item}",
         "how much for {item}"),
        ("the price of {item}", "what {item} costs is what i asked", "how much would {item} be", "cost of {item}"),
        ("{title} is {price}.", "It's {price} for {title}.", "{title} costs {price}, delivery included.",
         "You would pay {price} for {title}."),
        ("I can't get at the prices right now.", "There is no price on file.", "The price list isn't answering.",
         "I don't have a price for that today.")),
    Intent("check_stock", "search",
        ("is {item} in stock", "have you any {item} left", "can i still get {item}", "any {item} available",
         "do you still sell {item}", "are you out of {item}", "is there any {item} left",
         "how many {item} are there"),
        ("whether {item} is in stock", "i asked if {item} is left", "is {item} available", "stock of {item}"),
        ("Yes, {title} is in stock.", "There are a few of {title} left.", "{title} can be had right away.",
         "We have plenty of {title}."),
        ("The stock room isn't answering.", "I can't see the stock of that.", "I don't know how many there are.",
         "The count for it is missing.")),
    Intent("track_order", "orders",
        ("where is my {item}", "when will {item} arrive", "track my order of {item}", "has {item} been sent",
         "what's happening with {item} i ordered", "status of {item}", "is {item} on its way",
         "still waiting for {item}"),
        ("my order, {item}, where is it", "i ordered {item}, where's the parcel", "track {item}",
         "the parcel with {item}"),
        ("{title} is on its way and comes on {day}.", "Your {title} left us yesterday.", "Expect {title} on {day}.",
         "{title} was handed to the carrier this morning."),
        ("I can't find an order like that.", "The carrier gives no news of it.", "No tracking is available yet.",
         "I see no parcel under your name.")),
    Intent("cancel_order", "orders",
        ("cancel {item}", "cancel my order of {item}", "stop {item} from being sent",
         "i changed my mind about {item}",
         "i ordered {item} by mistake", "don't send {item}", "call off {item}",
         "i no longer need {item} you're sending"),
        ("cancel the order, {item}", "{item}, i want it cancelled", "please stop the order of {item}",
         "cancel {item}"),
        ("Your order of {title} is cancelled.", "{title} won't be sent.", "OK, I cancelled {title}.",
         "The order for {title} is withdrawn."),
        ("It has already left, it can't be stopped.", "I couldn't cancel that.", "There's no open order to cancel.",
         "The order system refuses the change.")),
    Intent("return_item", "orders",
        ("i want to return {item}", "{item} came broken", "send {item} back", "{item} is the wrong size",
         "can i get my money back for {item}", "{item} doesn't work", "this {item} is not what i ordered",
         "there's a fault with {item}", "i'm not happy with {item}, i'd like to return it"),
        ("return {item}", "{item} goes back", "i need to send back {item}", "a refund for {item}"),
        ("I've set up the return of {title}; a label is in your mail.", "You can send {title} back until {day}.",
         "The refund for {title} is on its way.", "{title}: the return is open."),
        ("That can't be returned any more.", "I see no purchase of it.", "Returns are down at the moment.",
         "The time for a return is over.")),
    Intent("reorder", "basket",
        ("order {item} again", "same {item} as last time", "reorder {item}", "we're out of {item}, get more",
         "another {item} please", "i need one more {item}", "repeat my order of {item}", "the usual {item}"),
        ("again {item}, like last month", "{item} once more", "reorder {item}", "another one of {item}"),
        ("I've ordered {title} again.", "Another {title} comes on {day}.", "Same as last time: {title}.",
         "Reordered {title}."),
        ("I can't see what you bought before.", "It isn't sold any more.", "Your last order can't be repeated.",
         "There's nothing like that in your history.")),
    Intent("delivery_options", "orders",
        ("how fast can you deliver {item}", "can {item} be here by {day}", "what does delivery of {item} cost",
         "can i pick up {item}", "do you deliver {item} on weekends", "could {item} be left with a neighbour",
         "send {item} to my work address", "how is {item} delivered"),
        ("delivery of {item}", "i mean how {item} gets here", "when could {item} be here", "ship {item} how"),
        ("{title} can be with you on {day}.", "We can bring {title} for free.",
         "You may collect {title} in the shop.",
         "Delivery of {title} takes two days."),
        ("I can't work out the delivery.", "No carrier takes it to your address.",
         "The delivery times are not known.",
         "I have no dates for that.")),
    Intent("gift_idea", "advice",
        ("i need a present for my {person}, maybe {item}", "what goes well with {item}",
         "would {item} suit my {person}",
         "suggest something like {item}", "a gift like {item} for my {person}", "is {item} a nice present",
         "something for my {person} who has {item}", "what could i give with {item}"),
        ("a present like {item}", "i asked for ideas around {item}", "gift for my {person}, think {item}",
         "something to go with {item}"),
        ("How about {title}? Many give it.", "{title} would be lovely for that.", "I'd go for {title}.",
         "People who like that choose {title}."),
        ("I have no ideas for that.", "I can't think of anything.", "My suggestions are empty today.",
         "Nothing comes to mind for it.")),
    Intent("price_alert", "advice",
        ("tell me when {item} gets cheaper", "let me know if {item} is on sale", "watch the price of {item}",
         "set an alert for {item}", "is there a deal on {item} soon", "remind me when {item} is reduced",
         "notify me about offers on {item}", "keep an eye on {item}"),
        ("an alert for {item}", "tell me once {item} is reduced", "watch {item} for me", "when {item} is on offer"),
        ("I'll tell you when {title} gets cheaper.", "The alert for {title} is set.", "I'm watching {title} for you.",
         "You'll hear from me about {title}."),
        ("I can't set alerts today.", "That one can't be watched.", "Your list of alerts is full.",
         "The alert didn't go through.")),
)  # fmt: skip

LOOSE = (
    "{item}", "{item} please", "what about {item}", "and {item}", "can you do {item}", "the {item}", "{item} then",
    "how about {item}", "{item} again", "something with {item}", "do the {item} thing", "i mean {item}", "{item} now",
)  # fmt: skip
"""Requests that many intents share: what is meant can only be guessed."""

ARTICLES = ("a ", "the ", "the ", "that ", "", "my ", "some ")
IT = ("it", "that", "that one", "this one", "the same", "them", "one of those")
OPENINGS: Mapping[str, tuple[str, ...]] = {
    "new": (
        "",
        "",
        "",
        "",
        "",
        "ok, ",
        "also ",
        "and ",
        "now ",
        "next, ",
        "so ",
        "right, ",
        "then ",
        "by the way ",
    ),
    "again": (
        "",
        "",
        "",
        "",
        "",
        "no, ",
        "i said ",
        "sorry, ",
        "ok, ",
        "again: ",
        "i meant ",
        "so ",
        "well ",
    ),
}
MANNERS = (
    "Sorry for the wait. ", "Let me see. ", "What a nice choice. ", "Don't worry. ",
    "I couldn't be happier to help. ",
    "I'm sorry it took so long. ", "I know that one. ", "Let's see. ", "That's easy. ", "Can do. ",
    "I don't mind at all. ",
    "Say no more. ", "Nothing simpler. ", "Tell you what. ", "It didn't take long. ", "What was it? Ah yes. ",
)  # fmt: skip
"""How the assistant begins an answer, good or bad."""
GREETINGS = ("hello", "hi there", "hey", "good morning", "are you there", "hi, i need some help", "evening")
WELCOMES = (
    "Hello! What can I do for you?",
    "Hi. I'm listening.",
    "Good to hear you.",
    "Yes, how can I help?",
)
COMPLAINTS = (
    "no, that's not what i asked", "that's wrong", "you're not listening", "this is useless", "why is this so hard",
    "not that", "what are you talking about", "i didn't say that", "seriously", "oh come on",
    "you got it wrong again",
    "that makes no sense", "never mind", "forget it", "try harder", "hm, that isn't right", "hello, anybody there",
    "this never works", "great, just great", "i give up with you", "is this a joke", "different thing", "uh, what",
    "you misunderstood", "that's something else", "ugh", "i can't believe this", "can you even hear me",
)  # fmt: skip
APOLOGIES = (
    "I'm sorry about that.", "Sorry, let's try again.", "My mistake. What did you want?", "I apologise.",
    "Oh. Tell me once more?",
    "Okay.", "I see. How else can I help?", "Let me do better.",
)  # fmt: skip
NOT_HEARD = (
    "Sorry, I didn't catch that.", "Could you say that again?", "I'm having trouble hearing you.", "Pardon?",
    "I'm not sure what you mean.", "Can you put that differently?", "Hm, I don't know that one.", "What was that?",
)  # fmt: skip
NO_MATCH = (
    "I don't know which product you mean.", "Which one exactly? I find no match.",
    "I can't find a product of that name.",
    "That name isn't in our catalogue.",
)  # fmt: skip
ASK_DETAIL = (
    "Sure. Which colour?", "Happy to. For delivery or collection?", "How many would you like?",
    "The large one or the small one?",
    "Shall I use your usual address?", "Just to be sure: a single one?", "Should it be gift wrapped?",
    "On your usual card?",
)  # fmt: skip
DETAILS = (
    "the {colour} one", "just one", "two of them", "yes", "no, the other one", "the large one", "yes please",
    "no thanks",
    "{colour} please", "my usual", "at home", "the small one i think", "three", "that's right", "no need for that",
)  # fmt: skip
FOLLOW_UPS = (
    "does it come gift wrapped", "is it heavy", "what do people say about it", "is it any good",
    "how long does it last",
    "does it also come in {colour}", "can i wash it", "is it made here", "what's it made of", "and the guarantee",
    "is that a good one", "would it break easily", "do you have the instructions", "any problems with it",
    "and is it new", "are those any good", "what would one of those weigh", "is it the same as the old one",
    "can i get spare parts",
    "what size is it", "is it the one from the advert", "who makes it",
)  # fmt: skip
FOLLOWED = (
    "Yes, it does.", "People like it: four and a half stars.", "It's fairly light.", "It is made of good material.",
    "There's a guarantee of two years.", "It comes in {colour} too.", "No problems are known.",
    "It is this year's model.",
    "About the size of a shoe box.", "It is from {brand}.",
)  # fmt: skip
NOT_FOLLOWED = (
    "I don't have that information.", "The page doesn't say.", "Here are today's offers.", "I can't answer that.",
    "You have three unread messages.", "Let me read you the terms of sale.", "I know nothing about it.",
)  # fmt: skip
THANKS = (
    "thanks", "thank you", "great", "perfect", "lovely, thanks", "ok good", "cheers", "brilliant",
    "that's all i needed",
    "wonderful", "nice one", "ok", "fine", "not bad", "super", "no problem then", "all right", "that was quick",
)  # fmt: skip
THANKS_ANYWAY = (
    "ok thanks anyway", "fine", "all right then", "ok", "thanks for nothing", "great", "whatever, thanks",
    "never mind, thank you",
    "good to know", "oh well", "if you say so", "thanks",
)  # fmt: skip
PLEASURES = (
    "You're welcome.",
    "My pleasure.",
    "Any time.",
    "Glad to help.",
    "Sure.",
    "No problem.",
    "Always.",
)
ASK_HELP = (
    "Did I help?",
    "Was that what you needed?",
    "Did that answer your question?",
    "Was I of any help?",
)
HELPED = (
    "yes",
    "yes you did",
    "yep",
    "sure",
    "it did",
    "i guess so",
    "mostly",
    "yes thanks",
    "mhm",
    "you did",
)
NOT_HELPED = (
    "no",
    "not really",
    "nope",
    "not at all",
    "no you didn't",
    "hardly",
    "i'm afraid not",
    "no, sorry",
    "nah",
)
NOTED = ("Thanks for telling me.", "Noted.", "Good to know.", "Okay.", "I'll remember that.")
FAREWELLS = (
    "bye",
    "that's all",
    "goodbye",
    "we're done",
    "good night",
    "that's it for now",
    "stop",
    "i'm off",
)
PARTINGS = ("Goodbye!", "Until next time.", "Have a good day.", "Bye.", "See you.")
FILLERS = (
    "um ",
    "uh ",
    "er ",
    "hey ",
    "please ",
    "listen, ",
    "well ",
    "alright ",
    "could you ",
    "let me see, ",
    "like ",
)
ENDINGS = (
    " please",
    " thanks",
    " if you can",
    " for me",
    " quickly",
    " today",
    " or so",
    " you know",
    " i think",
)
PERSONS = (
    "sister",
    "dad",
    "neighbour",
    "boss",
    "girlfriend",
    "mother",
    "kids",
    "friend",
    "husband",
    "nephew",
    "teacher",
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
FOREIGN = (
    "ich suche eine {item}", "où est ma commande", "quiero devolver {item}", "これをください", "ما هو السعر",
    "почему так дорого", "hai {item} blu", "jag vill köpa {item}",
)  # fmt: skip
"""Said by a few who speak another language: no fault of the rows."""
