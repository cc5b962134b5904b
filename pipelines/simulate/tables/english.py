"""English, the largest of the simulated languages."""

from __future__ import annotations

from pipelines.simulate.tables.table import Table

ENGLISH: Table = {
    "code": "en",
    "weight": 34,
    "space": " ",
    "slots": {
        "where": "near the north bridge|by the old market|down at the harbour|on the ring road|at Platform 4"
        "|along the canal path|outside the library|on Mill Lane|behind the bus depot|at the south gate"
        "|up on the hill estate|in the river park|in the museum quarter|under the railway arches"
        "|across the town square|next to the garden centre|round the back of the station|by the water tower",
        "when": "this morning|last night|on Sunday|before breakfast|after lunch|on Tuesday|an hour ago"
        "|over the weekend|just now|around noon|at dawn|by teatime|on the way home|yesterday evening"
        "|in the small hours|during the school run",
        "who": "my neighbour|my sister|the lady upstairs|our landlord|my dad|a colleague|the new intern|my flatmate"
        "|the bloke next door|our postman|my old teacher|half the office|the man with the two spaniels|my gran",
        "sky": "thick fog|sideways rain|a proper thunderstorm|the first frost|blazing sunshine|a hailstorm|drizzle"
        "|a weird pink sky|gale force wind|heavy snow|a double rainbow|low grey cloud|humid heat|a cold snap",
        "coat": "the big coat|two jumpers|an umbrella|waterproof boots|sunglasses|a scarf|gloves|a hat I hate",
        "team": "the home side|the visitors|the under-twenties|the village eleven|our lot|the reds|the blues"
        "|the women's team|the league leaders|the newly promoted side|the Sunday league lads",
        "move": "a back-post header|a lucky deflection|a penalty in stoppage time|an own goal"
        "|a free kick from miles out"
        "|a lovely one-two|a goalkeeping howler|a counter-attack|a corner nobody marked|a disallowed equaliser",
        "part": "the midfield|the back four|the bench|the press|the left wing|the set pieces|the keeper|the tempo",
        "line": "the 38 bus|the express train|the airport shuttle|the ferry|the night bus|the tram|the branch line"
        "|the replacement coach|the cycle lane|the park and ride|the 7:42|the last train",
        "snag": "signal failure|a missing driver|leaves on the line|a broken door|roadworks|a burst main|a lost swan"
        "|a power cut|an escaped goat|a flat tyre|a ticket machine that only takes coins|a points failure",
        "dish": "lentil soup|mushroom risotto|a leek tart|chickpea curry|roast squash|sourdough|a potato pancake"
        "|a plum crumble|noodle salad|a pepper stew|a cheese omelette|barley stew|fish pie|a lemon cake",
        "spice": "smoked paprika|more garlic|a bay leaf|fresh dill|brown butter|lime juice|a pinch of salt"
        "|cumin seeds"
        "|toasted almonds|black pepper|a spoon of honey|pickled onions|thyme|ginger",
        "pan": "a cast iron pan|the slow cooker|a borrowed oven|one tiny saucepan|the good knife|a wooden spoon",
        "tool": "the build script|our linter|the test suite|a cache layer|the migration|the parser|the login page"
        "|a cron job|the message queue|the deploy pipeline|an old shell script|the search index|the date picker",
        "bug": "an off-by-one error|a missing comma|a time zone|a stale lock file|one unescaped quote"
        "|a race condition"
        "|a config typo|a null where a list should be|an expired certificate|two clocks that disagree",
        "fix": "rewriting it from scratch|reading the manual|deleting forty lines|a good night's sleep"
        "|adding one test"
        "|rolling back|asking for help|turning off the cache|a single underscore|pairing on it for an hour",
        "news": "the new swimming pool|the library hours|the bin collection|the cycle bridge|the parking fees"
        "|the school canteen|the flood wall|the night market|the tree planting|the bus timetable|the skate park"
        "|the allotment waiting list",
        "body": "the council|the planning board|the residents' group|the parish newsletter|the water company"
        "|the local paper|the school office|the transport committee",
        "book": "a novel about lighthouses|a history of salt|the atlas from the attic|a slim book of poems"
        "|a detective story set on a ferry|a memoir by a beekeeper|a guide to mosses|an essay on silence"
        "|a thriller with no ending|a translated saga",
        "plant": "the tomatoes|my basil|the runner beans|the apple tree|a stubborn fern|the sweet peas|the courgettes"
        "|the lavender|a bucket of potatoes|the strawberries|the fig in the corner",
        "pest": "slugs|a very bold pigeon|aphids|next door's cat|blight|two days of wind|the hosepipe ban|a fox",
        "feel": "delighted|worn out|oddly proud|a bit lost|speechless|mildly annoyed|grateful|not surprised|hopeful"
        "|completely baffled|weirdly calm|ready for bed",
        "rank": "the best|the worst|easily the strangest|the most expensive|the quietest|the longest|the funniest"
        "|the second best|the least useful|the most honest",
    },
    "topics": {
        "weather": (
            "Woke up to {sky} {where} and I am {feel} about it.",
            "{n} degrees and {sky} {when}, so out came {coat}.",
            "The forecast promised {sky}, but {where} it is dry as toast {when}.",
            "Does anyone else get a headache from {sky}? It has been {n} hours {where} now.",
            "Left home with {coat} because of {sky} and needed none of that {where} {when}.",
            "{who_} swears that {sky} {when} means a hard winter, and honestly I am {feel}.",
            "Nothing beats a walk {where} after {sky}, even if you need {coat}.",
        ),
        "football": (
            "We watched {team} {when} and lost the lead to {move}.",
            "{n} minutes gone and {part} of {team} still cannot handle {move}.",
            "If {team} keep playing like that {when}, {part} will need a rethink.",
            "{who_} called it: {move}, then nothing but sideways passes from {team}.",
            "Walked past the pitch {where} and saw {team} practise {move} for {n} minutes.",
            "Say what you like about {part}, that was {rank} performance by {team} {when}.",
            "I am {feel} after {move}; {team} deserved at least a draw {when}.",
        ),
        "commute": (
            "{line_} stopped {where} for {n} minutes because of {snag}.",
            "Third time {when} that {snag} has taken out {line}.",
            "Shared {line} with {who} {when}, and we talked about {snag} the whole way.",
            "Is {line} running {where}? The board only says {snag}.",
            "{n} of us got off {line} {where} and simply walked, {feel} and late.",
            "Credit to the driver of {line} {when}: {snag}, and still a joke over the speaker.",
            "They blamed {snag}, but {line} was {n} minutes late before we even reached the stop {where}.",
        ),
        "cooking": (
            "Made {dish} {when} and the trick really is {spice}.",
            "{who_} brought {dish} to lunch, cooked in {pan} with far too much {spice}.",
            "You can make {dish} for {n} people in {pan} if you start {when}.",
            "Burnt {dish} {when}; {pan} may never recover and I am {feel}.",
            "Question for cooks: does {dish} want {spice}, or is that a crime {where}?",
            "{n} minutes, {pan}, {spice}: that is the whole recipe for {dish}.",
            "The stall {where} sells {dish} with {spice}, and it was {rank} meal I had {when}.",
        ),
        "code": (
            "Spent {n} minutes on {tool} {when} and it was {bug}.",
            "{who_} fixed {tool} by {fix}, which left me {feel}.",
            "Hot take: most trouble with {tool} is {bug}, and {fix} cures it.",
            "After {fix}, {tool} runs {n} times faster {when}.",
            "Reviewing {tool} {when}: {n} files changed, {bug} inside, no tests.",
            "How do people debug {tool} without {fix}? Asking because {bug} cost us {n} hours.",
            "Today I learned that {bug} can take down {tool} {where} and nobody notices for {n} days.",
        ),
        "local": (
            "{body_} finally published the plan for {news}, and {who} is {feel}.",
            "{n} people turned up {where} {when} to talk about {news}.",
            "Heard {when} that {news} will be paid for by {body}; I am {feel}.",
            "Does anyone know why {body} changed {news} without a notice {where}?",
            "A letter from {body} came {when}: {news} is delayed by {n} weeks.",
            "Spoke to {who} {where} about {news}, {rank} chat I have had {when}.",
            "If {body} wants views on {news}, put the form {where} and give us {n} days.",
        ),
        "reading": (
            "Finished {book} {when} and I feel {feel}.",
            "{who_} lent me {book} and it is {rank} thing I have read {when}.",
            "Page {n} of {book} and the plot just walked off {where}.",
            "Read {book} {where} {when}, missed my stop twice.",
            "Bought {book} for {n} pence from the box {where}.",
            "Book club {when}: {n} of us, {book}, and not one agreed with {who}.",
            "Would you recommend {book} to {who}? I was {feel} by the end.",
        ),
        "garden": (
            "{plant_} survived {sky} {when}, no thanks to {pest}.",
            "Counted {n} flowers on {plant} {when}, then {pest} arrived.",
            "{who_} says {spice} keeps {pest} off {plant}, any truth in that?",
            "Planted {plant} {where} {when} and I am {feel} already.",
            "Lost {plant} to {pest} after {n} days of {sky}.",
            "Swapped a tray from {plant} for {dish} {where}, {rank} trade I ever made.",
            "Anyone {where} need cuttings from {plant}? I have about {n}.",
        ),
    },
    "openers": "Honestly:|Well then.|Unpopular opinion:|Small update:|Right.|Note to self:|Funny thing:|Okay so:"
    "|Question:"
    "|Morning all.|Not going to lie:|Breaking my silence:|Quick one:|Story time.|For the record:|Confession:",
    "closers": "Anyone else?|Make of that what you will.|Discuss.|More tomorrow.|Send help.|I rest my case."
    "|What a day."
    "|Tell me I am wrong.|Thanks for listening.|That is the post.|Never again.|Worth it.|Back to work.|Thoughts?",
    "replies": (
        "Same here,",
        "Not sure I agree.",
        "Oh, that reminds me.",
        "Thanks for sharing this.",
        "Ha, {n} times out of ten!",
        "You should ask {who}.",
        "I was {feel} when I read this.",
        "Hard disagree, sorry.",
    ),
    "acks": "Thanks!|Agreed.|This.|So true|Same|Haha yes|No way|Good point|Exactly|Love this|Fair enough|Welcome back",
    "abuse": (
        "you are an idiot, shut up",
        "nobody asked you, clown, go back to sleep",
        "what a stupid thing to say, you absolute muppet",
        "shut your mouth, you pathetic little whiner",
        "only a complete moron would post this, delete your account",
    ),
    "contact": (
        "Reach me at {value} if you can help.",
        "I keep getting mail meant for {value}, please stop.",
        "For the flat viewing use {value} and ask for the keys.",
        "The form leaked mine, {value}, so check yours.",
        "Can someone confirm that {value} is still right?",
    ),
    "calls": (
        "Sign the petition for {news} before {body} closes it {when}!",
        "Everyone {where}: {body} must listen about {news}, share this now.",
        "We are {n} thousand voices for {news} and {body} cannot ignore us.",
        "Do not let {body} cancel {news} {when}. Copy and post this.",
    ),
    "spam": (
        "GIVEAWAY! {n}000 {coin} for the first {n} followers, send 1 get 2 back {link}",
        "Follow me and I follow back {n} of you, retweet and drop your handle #followtrain #f4f",
        "I made {n}00 dollars a day from home with no skills, ask me how {link}",
        "Claim your FREE {coin} airdrop now, only {n} minutes left!!! {link} {link}",
        "Cheap {prize} 80% off today only {link} {link} best price guaranteed",
        "You have been selected to win a {prize}! Confirm your details here {link}",
        "DM {user} to recover your lost {coin} wallet, fast and legit service, saved my life",
        "Hot {coin} signal: buy now, 100x by Friday, thank me later {link} #crypto #moon #100x #gem",
        "Get {n}k real followers in one hour, no password needed {link} #followers #likes #viral",
        "Work {n} minutes, earn {n}00 weekly, limited places, comment YES {link}",
        "Lose {n} pounds with this one weird tea, doctors are speechless {link}",
        "#win #free #{coin} #giveaway #follow #like #share #today #now {link}",
    ),
    "machine": (
        "As an AI language model, I do not have personal opinions about {news}, but here are {n} points to consider.",
        "In today's fast-paced world, {news} plays a crucial role in shaping vibrant and inclusive communities.",
        "It is important to note that {dish} is not just a meal; it is a testament to the rich tapestry of tradition.",
        "Unlock your potential: {n} simple steps to master {tool} and elevate your workflow to the next level!",
        "Certainly! Here is an engaging post about {sky}: Let us embrace every season with gratitude and resilience.",
        "In conclusion, {team} demonstrates that teamwork, passion and dedication are the cornerstones of success.",
        "Whether you are a beginner or an expert, {book} offers a comprehensive journey into a world of possibility.",
        "Let us delve into the fascinating realm of {plant}, where patience meets purpose and growth knows no bounds.",
        "Here is a revised version that is more concise and engaging: {news} matters to each and every one of us.",
        "Embracing {tool} is more than a choice; it is a transformative experience that fosters innovation. {n} tips:",
        "I am sorry, but I cannot fulfil this request. However, I can share {n} insights about {news} instead.",
        "Furthermore, navigating the complexities of {line} requires a holistic approach and a growth mindset.",
    ),
    "shorts": "gm|gn|lol|ok|nice|wow|yes|no|first|same|hello|why|ratio|mood|this|lmao|bruh|test|hi|yay",
    "tags": "MondayMood|WeatherWatch|MatchDay|HomeCooking|CodeLife|LocalNews|BookTalk|GrowYourOwn|CommuterLife"
    "|Thoughts",
}
