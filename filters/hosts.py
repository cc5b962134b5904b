"""What kind of place a link leads to, by the end of its host name: short lists of our own, no judgement of any site.

A host is known by its longest listed ending that begins at a dot: `feeds.bbci.co.uk` by `bbci.co.uk`.
"""

from __future__ import annotations

GOVERNMENT, ACADEMIC, NEWS, REFERENCE, PLATFORM, SHORTENER, SHOP, UNKNOWN = KINDS = (
    "government",
    "academic",
    "news",
    "reference",
    "platform",
    "shortener",
    "shop",
    "unknown",
)

_COUNTRIES = (
    "ae ar at au bd be bg br ca ch cl cn co cr cy cz de dk ec ee eg es et fi fr gh gr gt hk hr hu id ie il in "
    "iq ir is it jm jo jp ke kh kr kw kz lb lk lt lu lv ly ma mm mt mx my na ng ni nl no np nz om pa pe pg ph "
    "pk pl pt py qa ro rs ru rw sa sd se sg si sk sn sv sy th tn tr tw tz ua ug uk us uy uz ve vn ye za zm zw"
)
_GOVERNMENT_LABELS = ("gov", "gob", "gub", "gouv", "govt", "mil")
_ACADEMIC_LABELS = ("ac", "edu", "uni")

_BY_KIND = {
    GOVERNMENT: (
        "gov mil int europa.eu gc.ca canada.ca bund.de bundestag.de bundesregierung.de admin.ch go.jp go.kr go.id "
        "go.th go.ke parliament.uk nhs.uk police.uk un.org who.int nato.int imf.org worldbank.org oecd.org "
        "kremlin.ru mid.ru"
    ),
    ACADEMIC: (
        "edu arxiv.org biorxiv.org medrxiv.org doi.org nature.com science.org sciencemag.org sciencedirect.com "
        "springer.com wiley.com plos.org jstor.org ssrn.com pnas.org cell.com thelancet.com nejm.org bmj.com "
        "ieee.org acm.org mpg.de cnrs.fr cern.ch tum.de ethz.ch epfl.ch re.kr"
    ),
    NEWS: (
        "apnews.com ap.org reuters.com afp.com bbc.co.uk bbc.com bbci.co.uk bbc.in nytimes.com nyti.ms "
        "washingtonpost.com wapo.st wsj.com on.wsj.com usatoday.com latimes.com chicagotribune.com "
        "bostonglobe.com npr.org pbs.org cnn.com cnn.it abcnews.go.com cbsnews.com nbcnews.com msnbc.com "
        "foxnews.com fxn.ws politico.com politico.eu thehill.com axios.com bloomberg.com ft.com economist.com "
        "theatlantic.com newyorker.com time.com newsweek.com forbes.com theguardian.com telegraph.co.uk "
        "independent.co.uk thetimes.co.uk dailymail.co.uk mirror.co.uk thesun.co.uk sky.com channel4.com itv.com "
        "irishtimes.com rte.ie cbc.ca ctvnews.ca globalnews.ca theglobeandmail.com abc.net.au smh.com.au "
        "theage.com.au nzherald.co.nz rnz.co.nz spiegel.de zeit.de faz.net sueddeutsche.de welt.de bild.de "
        "tagesschau.de zdf.de dw.com lemonde.fr lefigaro.fr liberation.fr francetvinfo.fr france24.com elpais.com "
        "elmundo.es corriere.it repubblica.it ansa.it publico.pt folha.uol.com.br globo.com clarin.com "
        "lanacion.com.ar aljazeera.com haaretz.com jpost.com timesofisrael.com arabnews.com hurriyet.com.tr "
        "timesofindia.indiatimes.com thehindu.com ndtv.com scmp.com xinhuanet.com asahi.com nhk.or.jp "
        "japantimes.co.jp yonhapnews.co.kr straitstimes.com rt.com sputniknews.com ria.ru tass.ru tass.com "
        "interfax.ru lenta.ru rbc.ru kommersant.ru meduza.io novayagazeta.ru pravda.com.ua unian.ua "
        "kyivindependent.com buzzfeednews.com vox.com vice.com propublica.org theintercept.com breitbart.com "
        "huffpost.com huffingtonpost.com salon.com slate.com"
    ),
    REFERENCE: (
        "wikipedia.org wikimedia.org wikidata.org wiktionary.org britannica.com archive.org snopes.com "
        "politifact.com factcheck.org fullfact.org correctiv.org stackoverflow.com stackexchange.com mdn.dev "
        "developer.mozilla.org python.org w3.org ietf.org rfc-editor.org imdb.com merriam-webster.com "
        "openstreetmap.org"
    ),
    PLATFORM: (
        "twitter.com x.com facebook.com fb.com fb.me instagram.com instagr.am threads.net tiktok.com youtube.com "
        "youtu.be reddit.com redd.it tumblr.com pinterest.com linkedin.com lnkd.in snapchat.com t.me telegram.org "
        "whatsapp.com wa.me vk.com ok.ru weibo.com weibo.cn douyin.com bilibili.com bsky.app bsky.social "
        "mastodon.social mastodon.online mstdn.social discord.com discord.gg twitch.tv medium.com substack.com "
        "wordpress.com blogspot.com livejournal.com flickr.com imgur.com vimeo.com soundcloud.com spotify.com "
        "quora.com github.com gitlab.com patreon.com livestream.com periscope.tv vine.co pscp.tv dailymotion.com "
        "rumble.com gab.com parler.com truthsocial.com twimg.com gettr.com goodreads.com meetup.com "
        "eventbrite.com change.org gofundme.com kickstarter.com"
    ),
    SHORTENER: (
        "t.co bit.ly bitly.com goo.gl tinyurl.com ow.ly buff.ly is.gd v.gd j.mp dlvr.it ift.tt tiny.cc cutt.ly "
        "rb.gy lnk.to linktr.ee shorturl.at rebrand.ly trib.al fb.watch ln.is shar.es po.st wp.me amzn.to ebay.to "
        "etsy.me clck.ru vk.cc u.to qps.ru s.id t.cn dwz.cn url.cn bl.ink soo.gd adf.ly bc.vc ouo.io smarturl.it "
        "ppt.cc owl.li twib.in hubs.ly spr.ly snip.ly su.pr mcaf.ee x.co"
    ),
    SHOP: (
        "amazon.com amazon.co.uk amazon.de amazon.fr amazon.it amazon.es amazon.ca amazon.com.br amazon.in "
        "amazon.co.jp ebay.com ebay.co.uk ebay.de etsy.com aliexpress.com alibaba.com taobao.com tmall.com jd.com "
        "rakuten.co.jp walmart.com target.com bestbuy.com myshopify.com shopify.com redbubble.com teespring.com "
        "zazzle.com gumroad.com mercadolibre.com mercadolivre.com.br flipkart.com shopee.com lazada.com ozon.ru "
        "wildberries.ru avito.ru allegro.pl otto.de zalando.de booking.com onlyfans.com clickbank.net "
        "apps.apple.com itunes.apple.com itun.es play.google.com store.steampowered.com poshmark.com depop.com "
        "wish.com temu.com shein.com groupon.com"
    ),
}


def endings() -> dict[str, str]:
    """Return the kind of every listed ending of a host name.

    >>> endings()["gov.uk"], endings()["ac.jp"], endings()["t.co"]
    ('government', 'academic', 'shortener')
    """
    found = {f"{label}.{country}": GOVERNMENT for label in _GOVERNMENT_LABELS for country in _COUNTRIES.split()}
    found |= {f"{label}.{country}": ACADEMIC for label in _ACADEMIC_LABELS for country in _COUNTRIES.split()}
    return found | {name: kind for kind, names in _BY_KIND.items() for name in names.split()}
