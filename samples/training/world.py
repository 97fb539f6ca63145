"""A small world of tasks whose answers a program can check.

Every task is a *case* (its parameters) rendered to a query and a response. A response is a
deterministic function of its query except for a few words of the stories, drawn with known
probabilities; so the entropy of a response given its query, the floor of any model's
likelihood, is known exactly.

A case belongs to the held-out half of the world when the hash of its parameters says so, whatever
the seed: training pairs and evaluation pairs cannot share a case.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import math
import random
import re
from collections.abc import Callable
from dataclasses import dataclass

ANSWER = "\n#### "
HELD_OUT_PART = 8  # one case in 8 is never trained on

NAMES = "Ada Ben Cleo Dan Eva Finn Gus Ida Jon Kim Leo Mia Nora Otto Pia Tom".split()
GOODS = (
    "apples pears plums figs nuts eggs pens coins cards shells stamps stones books cups keys boxes"
).split()
CITIES = "Rome Oslo Lima Cairo Paris Delhi Quito Tokyo Bern Riga Dakar Perth".split()
ANIMALS = "fox owl bear hare mole wolf frog goat duck mouse crow deer".split()
PLACES = "forest garden valley harbor market castle tunnel meadow".split()
THINGS = (
    "sun map key cat bus hat jar lamp drum rope ring coat kite bell sock tent leaf boat door fork"
).split()
COLORS = "red blue green white black brown pink gray".split()
FUNCTIONS = "bump grow step mix fold push turn shift".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
    " sixteen seventeen eighteen nineteen"
).split()
CONSONANTS = "bdfgklmnprstvz"
VOWELS = "aeiou"

# The only free words: (word, probability).
DAYS = (("sunny", 0.7), ("rainy", 0.1), ("windy", 0.1), ("foggy", 0.1))
LOOKS = (("shiny", 0.7), ("dusty", 0.1), ("tiny", 0.1), ("heavy", 0.1))
MOODS = (("happy", 0.8), ("proud", 0.2))


@dataclass(frozen=True)
class Case:
    """The parameters of a task: what is hashed to decide which half of the world it is in."""

    family: str
    parameters: tuple

    def is_held_out(self) -> bool:
        """Whether the case belongs to evaluation; a function of the parameters alone."""
        digest = hashlib.sha256(repr((self.family, self.parameters)).encode()).digest()
        return int.from_bytes(digest[:8], "big") % HELD_OUT_PART == 0


@dataclass(frozen=True)
class Pair:
    """A rendered task; `nats` is −ln of the probability of the response's free words."""

    family: str
    query: str
    response: str
    nats: float = 0.0

    @property
    def answer(self) -> str:
        return self.response.split(ANSWER)[1]


def number_in_words(value: int) -> str:
    """English for 0…99: 42 is `forty-two`."""
    if value < 20:
        return SMALL[value]
    tens, ones = divmod(value, 10)
    return TENS[tens - 2] + (f"-{SMALL[ones]}" if ones else "")


def spelled(letters: str) -> str:
    """Letters as `r-o-k-e-m`, so that the tokenizer keeps one token a letter."""
    return "-".join(letters)


# Each family: a function that draws parameters, and one that renders them.


def draw_sum(rng: random.Random) -> tuple[int, int]:
    """Two numbers of two digits whose sum has two digits and carries nothing."""
    first, second = [], []
    for lowest in (1, 0):
        digit = rng.randint(lowest, 9 - lowest)
        first.append(digit)
        second.append(rng.randint(lowest, 9 - digit))
    return 10 * first[0] + first[1], 10 * second[0] + second[1]


def draw_gain(rng: random.Random) -> tuple:
    return (rng.choice(NAMES), rng.choice(GOODS), *draw_sum(rng))


def render_gain(name, goods, first, second) -> tuple[str, str]:
    return (
        f"{name} has {first} {goods} and finds {second} more. How many {goods} does {name} have?",
        f"{name} starts with {first} {goods} and adds {second} {goods}."
        f"\n{first} + {second} = {first + second}{ANSWER}{first + second}",
    )


def draw_loss(rng: random.Random) -> tuple:
    left, given = draw_sum(rng)
    return (*rng.sample(NAMES, 2), rng.choice(GOODS), left + given, given)


def render_loss(name, friend, goods, first, second) -> tuple[str, str]:
    return (
        f"{name} has {first} {goods} and gives {second} to {friend}. "
        f"How many {goods} does {name} keep?",
        f"{name} starts with {first} {goods} and gives {second} {goods} to {friend}."
        f"\n{first} - {second} = {first - second}{ANSWER}{first - second}",
    )


def draw_two_steps(rng: random.Random) -> tuple:
    first, second = draw_sum(rng)
    tens, ones = divmod(first + second, 10)
    third = 10 * rng.randint(1, tens - 1) + rng.randint(0, ones)
    return (rng.choice(NAMES), rng.choice(GOODS), first, second, third)


def render_two_steps(name, goods, first, second, third) -> tuple[str, str]:
    total = first + second
    return (
        f"{name} has {first} {goods}, finds {second} more and then loses {third}. "
        f"How many {goods} are left?",
        f"First {name} has {first} + {second} = {total} {goods}."
        f"\nThen {name} has {total} - {third} = {total - third} {goods}{ANSWER}{total - third}",
    )


def draw_words(rng: random.Random) -> tuple:
    if rng.random() < 0.35:
        first = rng.randint(3, 9)
        return ("times", first, rng.randint((9 + first) // first, 9))
    return ("plus", *draw_sum(rng))


def render_words(operation, first, second) -> tuple[str, str]:
    words, others = number_in_words(first), number_in_words(second)
    sign, result = ("*", first * second) if operation == "times" else ("+", first + second)
    return (
        f"What is {words} {operation} {others}?",
        f"In digits, {words} is {first} and {others} is {second}."
        f"\n{first} {sign} {second} = {result}{ANSWER}{result}",
    )


def draw_reverse(rng: random.Random) -> tuple:
    return tuple(rng.sample(THINGS, rng.choice((3, 4, 5))))


def render_reverse(*items) -> tuple[str, str]:
    text, turned = ", ".join(items), ", ".join(reversed(items))
    return (
        f"Reverse this list: {text}.",
        f"The list {text} from back to front is {turned}.{ANSWER}{turned}",
    )


def draw_swap(rng: random.Random) -> tuple:
    items = tuple(rng.sample(THINGS, 4))
    return (*items, *sorted(rng.sample(range(4), 2)))


def render_swap(*parameters) -> tuple[str, str]:
    items, (i, j) = list(parameters[:4]), parameters[4:]
    text, first, second = ", ".join(items), items[i], items[j]
    items[i], items[j] = second, first
    swapped = ", ".join(items)
    return (
        f"Swap {first} and {second} in this list: {text}.",
        f"In {text} the items {first} and {second} change places: {swapped}.{ANSWER}{swapped}",
    )


def draw_sort(rng: random.Random) -> tuple:
    return tuple(rng.sample(range(10, 100), 3))


def render_sort(*numbers) -> tuple[str, str]:
    text, ordered = ", ".join(map(str, numbers)), ", ".join(map(str, sorted(numbers)))
    return (
        f"Sort these numbers from low to high: {text}.",
        f"The lowest number is {min(numbers)} and the highest number is {max(numbers)}."
        f"\nFrom low to high: {ordered}{ANSWER}{ordered}",
    )


def draw_backwards(rng: random.Random) -> tuple:
    length = rng.choice((4, 5))
    letters = [rng.choice(CONSONANTS if i % 2 == 0 else VOWELS) for i in range(length)]
    return ("".join(letters),)


def render_backwards(letters) -> tuple[str, str]:
    text, turned = spelled(letters), spelled(letters[::-1])
    return (
        f"Spell {text} backwards.",
        f"The letters of {text} from last to first are {turned}.{ANSWER}{turned}",
    )


def draw_recolor(rng: random.Random) -> tuple:
    old, new = rng.sample(COLORS, 2)
    kept = rng.choice([color for color in COLORS if color not in (old, new)])
    slots = rng.choice(((old, old, kept), (old, kept, old), (kept, old, old), (old, kept, kept)))
    return (old, new, slots, tuple(rng.sample(THINGS, 3)))


def render_recolor(old, new, colors, things) -> tuple[str, str]:
    text = " and ".join(f"the {c} {t}" for c, t in zip(colors, things))
    edited = " and ".join(f"the {new if c == old else c} {t}" for c, t in zip(colors, things))
    return (
        f"Replace {old} by {new}: {text}.",
        f"With {new} in place of {old} the text is {edited}.{ANSWER}{edited}",
    )


def draw_price(rng: random.Random) -> tuple:
    return (tuple(GOODS[:4]), tuple(rng.randint(10, 99) for _ in range(4)), rng.randrange(4))


def render_price(goods, prices, index) -> tuple[str, str]:
    table = ", ".join(f"{g} {p}" for g, p in zip(goods, prices))
    return (
        f"How much are the {goods[index]}? Price list: {table}.",
        f"The price list says that the {goods[index]} cost {prices[index]} coins."
        f"{ANSWER}{prices[index]}",
    )


def draw_home(rng: random.Random) -> tuple:
    return (tuple(NAMES[:4]), tuple(rng.sample(CITIES, 4)), rng.randrange(4))


def render_home(names, cities, index) -> tuple[str, str]:
    homes = ", ".join(f"{n} {c}" for n, c in zip(names, cities))
    return (
        f"Which city is the home of {names[index]}? Homes: {homes}.",
        f"The list says that the home of {names[index]} is in {cities[index]}."
        f"{ANSWER}{cities[index]}",
    )


def draw_function(rng: random.Random) -> tuple:
    while True:
        x, factor, term = rng.randint(2, 9), rng.randint(2, 9), rng.randint(1, 9)
        sign, ones = rng.choice("+-"), x * factor % 10
        # A product of two digits, and nothing carried or borrowed after it.
        if x * factor >= 10 and 0 <= (ones + term if sign == "+" else ones - term) <= 9:
            return (rng.choice(FUNCTIONS), x, factor, sign, term)


def render_function(name, x, factor, sign, term) -> tuple[str, str]:
    product = x * factor
    result = product + term if sign == "+" else product - term
    word = "plus" if sign == "+" else "minus"
    return (
        f"Write a Python function {name} that returns x times {factor} {word} {term}. "
        f"Test it with x = {x}.",
        f"def {name}(x):\n    return x * {factor} {sign} {term}\n\n"
        f"# {x} * {factor} = {product}\nassert {name}({x}) == {result}{ANSWER}{result}",
    )


def draw_story(rng: random.Random) -> tuple:
    hero, friend = rng.sample(NAMES, 2)
    return (hero, friend, rng.choice(ANIMALS), rng.choice(PLACES), rng.choice(THINGS))


def render_story(hero, friend, animal, place, thing, day, look, mood) -> tuple[str, str]:
    return (
        f"Tell a story: {hero} the {animal} finds a {thing} in the {place} and gives it to "
        f"{friend}. Who has the {thing} now?",
        f"One {day} day {hero} the {animal} walked to the {place} and found a {look} {thing}."
        f"\n{hero} gave the {thing} to {friend}, and {friend} was very {mood}.{ANSWER}{friend}",
    )


FAMILIES: dict[str, tuple[Callable, Callable]] = {
    "gain": (draw_gain, render_gain),
    "loss": (draw_loss, render_loss),
    "two_steps": (draw_two_steps, render_two_steps),
    "words": (draw_words, render_words),
    "reverse": (draw_reverse, render_reverse),
    "swap": (draw_swap, render_swap),
    "sort": (draw_sort, render_sort),
    "backwards": (draw_backwards, render_backwards),
    "recolor": (draw_recolor, render_recolor),
    "price": (draw_price, render_price),
    "home": (draw_home, render_home),
    "function": (draw_function, render_function),
    "story": (draw_story, render_story),
}

# What is learned early needs fewer training pairs; evaluation pairs are drawn evenly.
TRAINING_MIX = {
    "reverse": 0.3,
    "backwards": 0.3,
    "recolor": 0.5,
    "story": 0.3,
    "swap": 0.7,
    "sort": 0.8,
    "gain": 0.5,
    "loss": 0.5,
    "function": 1.4,
    "price": 2.0,
    "home": 2.0,
}


def draw_case(rng: random.Random, held_out: bool) -> Case:
    """A random case of a random family from one half of the world."""
    names = list(FAMILIES)
    weights = [1.0 if held_out else TRAINING_MIX.get(name, 1.0) for name in names]
    while True:
        family = rng.choices(names, weights)[0]
        case = Case(family, FAMILIES[family][0](rng))
        if case.is_held_out() == held_out:
            return case


def render(case: Case, rng: random.Random) -> Pair:
    """The query and response of a case; `rng` draws the free words."""
    free: list[str] = []
    nats = 0.0
    if case.family == "story":
        for choices in (DAYS, LOOKS, MOODS):
            word, probability = rng.choices(choices, [p for _, p in choices])[0]
            free.append(word)
            nats -= math.log(probability)
    query, response = FAMILIES[case.family][1](*case.parameters, *free)
    return Pair(case.family, query, response, nats)


def pairs(count: int, seed: int, held_out: bool) -> list[Pair]:
    """`count` pairs; held-out ones are all different from each other as well."""
    rng = random.Random(seed)
    seen: set[Case] = set()
    result: list[Pair] = []
    while len(result) < count:
        case = draw_case(rng, held_out)
        if held_out and case in seen:
            continue
        seen.add(case)
        result.append(render(case, rng))
    return result


def entropy_of_story() -> float:
    """Expected nats of a story's free words: the entropy of a story response given its query."""
    return sum(-p * math.log(p) for choices in (DAYS, LOOKS, MOODS) for _, p in choices)


def final_answer(response: str) -> str | None:
    """What follows the last `####`, or None."""
    found = re.findall(r"^#### (.*)$", response, re.MULTILINE)
    return found[-1].strip() if found else None


def program_passes(response: str) -> bool:
    """Runs the function and the assert of a `function` response; anything else in it is refused."""
    try:
        tree = ast.parse(response)
    except SyntaxError:
        return False
    allowed = (
        ast.Module, ast.FunctionDef, ast.arguments, ast.arg, ast.Return, ast.BinOp, ast.Mult,
        ast.Add, ast.Sub, ast.Name, ast.Load, ast.Constant, ast.Assert, ast.Compare, ast.Eq,
        ast.Call,
    )  # fmt: skip
    nodes = list(ast.walk(tree))
    if not all(isinstance(node, allowed) for node in nodes):
        return False
    if not all(type(n.value) is int for n in nodes if isinstance(n, ast.Constant)):
        return False
    defined = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    called = {getattr(n.func, "id", None) for n in nodes if isinstance(n, ast.Call)}
    # One assert and one call of the function itself, outside of it: it ends.
    inner = [n for f in nodes if isinstance(f, ast.FunctionDef) for n in ast.walk(f)]
    if len(defined) != 1 or called != defined or any(isinstance(n, ast.Call) for n in inner):
        return False
    try:
        exec(compile(tree, "<response>", "exec"), {"__builtins__": {}})  # noqa: S102
    except Exception:  # a wrong program is a wrong answer, whatever it raises
        return False
    return True


def is_correct(pair: Pair, response: str) -> bool:
    """Exact final answer, and for a function a program that passes its own test."""
    if final_answer(response) != pair.answer:
        return False
    return pair.family != "function" or program_passes(response)


def write(path: str, items: list[Pair]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        rows = [{"query": p.query, "response": p.response} for p in items]
        json.dump(rows, file, indent=1, ensure_ascii=False)
        file.write("\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write training or held-out evaluation pairs.")
    parser.add_argument("output")
    parser.add_argument("--count", type=int, default=256)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--held-out", action="store_true", help="evaluation half of the world")
    options = parser.parse_args()
    items = pairs(options.count, options.seed, options.held_out)
    write(options.output, items)
    nats = sum(p.nats for p in items)
    print(f"{len(items)} pairs in {options.output}; free words: {nats:.3f} nats in total")


if __name__ == "__main__":
    main()
