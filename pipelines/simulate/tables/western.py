"""German, Turkish and Indonesian."""

from __future__ import annotations

from pipelines.simulate.tables.table import Table

GERMAN: Table = {
    "code": "de",
    "weight": 3,
    "space": " ",
    "slots": {
        "where": "am alten Markt|auf der Nordbrücke|vor dem Rathaus|am Kanal entlang|hinter dem Museum"
        "|in der Mühlgasse"
        "|neben der Bücherei|auf Gleis vier|unten am Hafen|oben in der Siedlung|vor der Schule",
        "when": "heute früh|gestern Abend|am Sonntag|vor dem Frühstück|nach dem Mittagessen|am Dienstag"
        "|vor einer Stunde"
        "|gegen Mittag|bei Sonnenaufgang|gestern Nachmittag|gerade eben|am Wochenende",
        "who": "meine Nachbarin|mein Bruder|der Bäcker|eine Kollegin|meine Oma|der Busfahrer|mein Chef"
        "|die Lehrerin|mein Cousin",
        "sky": "dichter Nebel|pralle Sonne|ein heftiges Gewitter|Hagel|feiner Nieselregen|eisiger Wind"
        "|drückende Schwüle"
        "|ein rosa Himmel|der erste Frost|tiefe Wolken",
        "dish": "Linsensuppe|Kartoffelpuffer|Pilzrisotto|Kürbisgratin|Pfannkuchen|Zwiebelkuchen|Sauerteigbrot"
        "|Zitronentarte"
        "|Nudelsalat|Pflaumenkompott|Kichererbsencurry",
        "tool": "das Deploy-Skript|die Testsuite|der Parser|der Zwischenspeicher|die Migration|die Anmeldeseite"
        "|die Warteschlange|der Suchindex|der nächtliche Auftrag",
        "bug": "ein Komma zu viel|eine Zeitzone|ein abgelaufenes Zertifikat|eine Endlosschleife|ein Tippfehler"
        "|eine falsch gestellte Uhr|ein fehlendes Anführungszeichen|ein fehlendes Zugriffsrecht",
        "team": "die Heimelf|die Gastmannschaft|die Jugend|die rote Mannschaft|die Dorfelf|der Aufsteiger"
        "|das Frauenteam",
        "move": "ein Eigentor|ein fragwürdiger Elfmeter|ein Kopfball an den Pfosten|ein Freistoß aus der Ferne"
        "|ein Patzer im Tor|ein schneller Konter|eine schlecht verteidigte Ecke|ein Fallrückzieher",
        "line": "der Bus 12|die Regionalbahn|die Straßenbahn|die U-Bahn|die Fähre|der Nachtbus|der letzte Zug",
        "news": "das neue Schwimmbad|der Fahrplan|der Radweg|die Parkgebühr|die Schulkantine|der Nachtmarkt"
        "|die Baumpflanzung|die Müllabfuhr|der Spielplatz",
    },
    "topics": {
        "Wetter": (
            "{sky_} {where} und nur {n} Grad {when}.",
            "War {when} ohne Schirm unterwegs, dann kam {sky} {where}.",
            "Laut Kalender heißt das: {sky} {when}, langer Winter. Das sagt jedenfalls {who}.",
            "Seit {n} Tagen nur noch das hier: {sky} {where}, es reicht.",
        ),
        "Fußball": (
            "{move_} in Minute {n}, und {team} war {when} sonst harmlos.",
            "Wenn {team} {when} so weiterspielt, folgt wieder das: {move}.",
            "{who_} stand {where} und sprach nur über eines: {move}.",
            "Was {team} da zeigt, sind {n} Fouls und dann {move} {when}.",
        ),
        "Verkehr": (
            "Schon wieder steht {line} {where}, diesmal {n} Minuten.",
            "{who_} kam {when} viel zu spät, weil {line} ausfiel.",
            "Weiß jemand, ob {line} {where} noch hält? Ich warte seit {n} Minuten.",
            "Jetzt kostet es {n} Cent mehr, und {line} ist {when} trotzdem voll.",
        ),
        "Küche": (
            "Es gab {dish} {when}, genug für {n} Leute.",
            "Das Geheimnis hinter {dish} kennt nur {who}: {when} anfangen und Geduld haben.",
            "Der Stand {where} verkauft {dish} für {n} Münzen.",
            "Habe mich {when} {n} Mal verrechnet, aber {dish} war am Ende großartig.",
        ),
        "Code": (
            "{n} Minuten gesucht {when}, {tool} war kaputt, Ursache: {bug}.",
            "Zum Glück half {who}; {tool} läuft wieder, schuld war {bug}.",
            "Niemand schaut hin, bis {tool} {when} ausfällt und {bug} auftaucht.",
            "Plötzlich ist {tool} um {n} Sekunden schneller, ich vermute {bug}.",
        ),
        "Viertel": (
            "Angeblich ist {news} {when} beschlossen worden, und {who} wusste nichts davon.",
            "{n} Leute standen {where}, Thema war {news}.",
            "Wie {who} erzählt, dauert es noch {n} Wochen: {news}.",
            "Fragt uns doch {where}, bevor {news} {when} einfach anders wird.",
        ),
    },
    "openers": "Ehrlich gesagt:|Na gut.|Ernste Frage:|Notiz an mich:|Guten Morgen.|Ich sage es mal:|Kurios:"
    "|Kurzfassung:|Zugegeben:",
    "closers": "Und bei euch?|Was für ein Tag.|Morgen mehr.|Ich sage nichts mehr.|Hilfe willkommen.|Meinungen?"
    "|Tja.|Wie auch immer.",
    "replies": (
        "Sehe ich genauso.",
        "Da bin ich anderer Meinung.",
        "Das erinnert mich an etwas.",
        "Danke fürs Teilen.",
        "Wirklich?",
    ),
    "acks": "Danke|Stimmt|Haha ja|Sehr gut|Genau|Keine Ahnung|Kopf hoch|Toll",
    "abuse": ("halt die Klappe, du Clown", "du bist so dumm, hör auf zu schreiben", "geh schlafen, du Witzfigur"),
    "contact": (
        "Wegen der Wohnung erreicht ihr mich so: {value} und dann schnell.",
        "Meine Daten sind im Netz, {value}, es hört nicht auf.",
    ),
    "calls": (
        "Unterschreibt jetzt, {news} darf nicht scheitern!",
        "Wir sind {n} Tausend Stimmen, {news} geht alle an, bitte teilen.",
    ),
    "spam": (
        "GEWINNSPIEL! {n}000 {coin} für alle, die folgen und teilen {link}",
        "Folge mir und ich folge dir, {n} Follower in einer Stunde #followback #f4f {link}",
        "Verdiene {n}00 Euro am Tag von zu Hause, ohne Erfahrung, nur wenige Plätze {link}",
        "Du wurdest ausgewählt: {prize} zu gewinnen, bestätige hier deine Daten {link}",
    ),
    "machine": (
        "In der heutigen schnelllebigen Welt ist eines entscheidend: {news} als Grundlage lebendiger Gemeinschaften.",
        "Als KI-Sprachmodell habe ich keine persönliche Meinung, aber hier sind {n} Tipps rund um {dish}.",
        "Zusammenfassend gilt: {tool} eröffnet einzigartige Chancen für nachhaltige Innovation und Wachstum.",
    ),
    "shorts": "hallo|danke|haha|ja|okay|puh|super|moin|nichts|los",
    "tags": "GutenMorgen|Montag|Hausmannskost|Spieltag|MeinViertel|Programmieren",
}

TURKISH: Table = {
    "code": "tr",
    "weight": 4,
    "space": " ",
    "slots": {
        "where": "eski pazarın yanında|kuzey köprüsünde|belediye meydanında|kanal boyunda|müzenin arkasında"
        "|değirmen sokağında"
        "|kütüphanenin önünde|dördüncü peronda|limanın karşısında|yukarı mahallede|okul çıkışında",
        "when": "bu sabah|dün gece|pazar günü|kahvaltıdan önce|öğleden sonra|salı günü|bir saat önce|öğle vakti"
        "|şafakta"
        "|dün akşamüstü|az önce|hafta sonu",
        "who": "komşum|kardeşim|fırıncı|bir iş arkadaşım|babaannem|şoför|müdürüm|öğretmenimiz|kuzenim",
        "sky": "yoğun sis|kavurucu güneş|şiddetli fırtına|dolu|ince bir çisenti|buz gibi rüzgâr|boğucu sıcak"
        "|pembe bir gökyüzü"
        "|ilk don|alçak bulutlar",
        "dish": "mercimek çorbası|patates köftesi|mantarlı pilav|kabak graten|ev ekmeği|ıspanaklı börek"
        "|limonlu kek|zeytinyağlı fasulye"
        "|nohut yemeği|sütlaç|biber dolması",
        "tool": "yayın betiği|test takımı|ayrıştırıcı|önbellek|veri taşıma işi|giriş sayfası|mesaj kuyruğu"
        "|arama dizini|gece görevi",
        "bug": "fazladan bir virgül|saat dilimi|süresi dolmuş bir sertifika|sonsuz döngü|yazım hatası|iki farklı saat"
        "|kapanmamış bir tırnak|eksik bir izin",
        "team": "ev sahibi takım|konuk ekip|gençler|kırmızılar|maviler|yeni çıkan takım|kadın takımı",
        "move": "kendi kalesine gol|tartışmalı penaltı|direkten dönen kafa|uzaktan frikik|kaleci hatası"
        "|hızlı kontra atak"
        "|boş bırakılan korner|röveşata",
        "line": "12 numaralı otobüs|banliyö treni|tramvay|metro|vapur|gece otobüsü|son tren",
        "news": "yeni yüzme havuzu|kütüphane saatleri|bisiklet yolu|otopark ücreti|okul yemekhanesi|gece pazarı"
        "|ağaç dikimi"
        "|çöp toplama saati|çocuk parkı",
    },
    "topics": {
        "hava": (
            "{when_} {where} {sky} vardı, sıcaklık {n} derece.",
            "Şemsiyesiz çıktım, {where} {sky} bastırdı, {when} sırılsıklam oldum.",
            "Bizim {who} diyor ki {sky} {when} gelirse kış uzun sürermiş.",
            "Tam {n} gündür {where} {sky} var, yeter artık.",
        ),
        "futbol": (
            "Maç {when} {n}. dakikada bitti aslında: {move}, üstelik {team} hiç oynamadı.",
            "Eğer {team} {when} böyle oynarsa yine {move} izleriz.",
            "Bugün {who} ile {where} karşılaştık, konu hep aynı: {move}.",
            "Ne maçtı ama, {team} {n} faul yaptı, sonra {move} geldi {when}.",
        ),
        "ulaşım": (
            "Yine {line} {where} {n} dakika bekledi.",
            "Biz {when} {line} yüzünden geç kaldık, {who} hâlâ söyleniyor.",
            "Bilen var mı, {line} {where} duruyor mu? {n} dakikadır bekliyorum.",
            "Bilete {n} kuruş zam geldi, {line} ise {when} yine dolu.",
        ),
        "mutfak": (
            "Ben {when} {dish} yaptım, {n} kişiye yetti.",
            "Meğer {who} için {dish} yapmanın sırrı {when} başlamakmış.",
            "Dükkân {where} açılmış, {dish} sadece {n} lira.",
            "Tarifi {when} {n} kere bozdum ama {dish} harika oldu.",
        ),
        "yazılım": (
            "Ben {when} {n} dakika {tool} ile uğraştım, sorun {bug} çıktı.",
            "Sağ olsun {who} yardım etti, {tool} çalışıyor; suçlu {bug} imiş.",
            "Kimse {tool} ile ilgilenmez, ta ki {when} {bug} çıkana kadar.",
            "Artık {tool} {n} saniye daha hızlı, sanırım neden {bug} idi.",
        ),
        "mahalle": (
            "Meğer {news} {when} değişmiş, {who} inanamadı.",
            "Tam {n} komşu {where} toplandık, konumuz {news}.",
            "Duyduğuma göre {news} {n} hafta gecikecek, {who} söyledi.",
            "Keşke {news} hakkında {where} bize de sorsalar, {when} karar vermeden önce.",
        ),
    },
    "openers": "Açıkçası:|Neyse:|Ciddi soru:|Kendime not:|Günaydın.|Söylüyorum:|İlginç:|Kısaca:|İtiraf ediyorum:",
    "closers": "Sizde durum nasıl?|Ne gündü.|Yarın devam.|Başka sözüm yok.|Yardım lazım.|Ne dersiniz?"
    "|Neyse işte.|Hayırlısı.",
    "replies": (
        "Tamamen katılıyorum.",
        "Ben öyle düşünmüyorum.",
        "Bu bana bir şey hatırlattı.",
        "Paylaştığın için sağ ol.",
        "Gerçekten mi?",
    ),
    "acks": "Teşekkürler|Aynen|Haha evet|Çok iyi|Kesinlikle|Bilmem ki|Kolay gelsin|Bayıldım",
    "abuse": ("kapa çeneni palyaço", "ne kadar aptalsın, yazma artık", "git uyu, gülünçsün"),
    "contact": ("Ev için bana buradan ulaşın: {value} hemen dönerim.", "Bilgilerim sızmış, {value}, hiç durmuyorlar."),
    "calls": ("Geç olmadan imzala, {news} hepimizin meselesi!", "Biz {n} bin kişiyiz, {news} için kopyala ve paylaş."),
    "spam": (
        "ÇEKİLİŞ! Takip edip paylaşan herkese {n}000 {coin} {link}",
        "Takip et, geri takip edeyim, bir saatte {n} takipçi #gt #f4f {link}",
        "Evden günde {n}00 lira kazan, deneyim gerekmez, kontenjan sınırlı {link}",
        "Seçildin! {prize} kazanmak için bilgilerini buradan onayla {link}",
    ),
    "machine": (
        "Günümüzün hızlı dünyasında {news} daha kapsayıcı topluluklar oluşturmada çok önemli bir rol oynamaktadır.",
        "Bir yapay zekâ dil modeli olarak kişisel görüşüm yok, ancak {dish} hakkında {n} öneri sunabilirim.",
        "Sonuç olarak {tool} yenilik ve sürdürülebilir büyüme için eşsiz bir fırsat sunmaktadır.",
    ),
    "shorts": "selam|sağol|jshdjs|evet|tamam|of|harika|merhaba|yok|hadi",
    "tags": "Günaydın|Pazartesi|EvYemeği|MaçGünü|Mahallemiz|Yazılım",
}

INDONESIAN: Table = {
    "code": "id",
    "weight": 5,
    "space": " ",
    "slots": {
        "where": "dekat pasar lama|di jembatan utara|di alun-alun|di tepi kanal|di belakang museum|di gang kincir"
        "|di samping perpustakaan|di peron empat|di depan pelabuhan|di kampung atas|di gerbang sekolah",
        "when": "tadi pagi|semalam|hari Minggu|sebelum sarapan|setelah makan siang|hari Selasa|sejam lalu|siang tadi"
        "|waktu subuh|kemarin sore|barusan|akhir pekan ini",
        "who": "tetangga saya|adik saya|tukang roti|teman kantor|nenek|pak sopir|bos saya|bu guru|sepupu saya",
        "sky": "kabut tebal|matahari terik|badai besar|hujan es|gerimis tipis|angin dingin|udara gerah"
        "|langit merah muda"
        "|hujan pertama|awan rendah",
        "dish": "sup kacang|perkedel kentang|nasi goreng jamur|sayur labu|roti buatan sendiri|pisang goreng"
        "|kue lemon|tumis buncis"
        "|kari tempe|bubur manis|sambal terong",
        "tool": "skrip rilis|rangkaian tes|pengurai data|tembolok|proses migrasi|halaman masuk|antrean pesan"
        "|indeks pencarian|tugas malam",
        "bug": "koma yang kelebihan|zona waktu|sertifikat kedaluwarsa|putaran tanpa akhir|salah ketik"
        "|dua jam yang berbeda"
        "|tanda kutip terbuka|izin yang kurang",
        "team": "tim tuan rumah|tim tamu|tim muda|si merah|si biru|tim promosi|tim putri",
        "move": "gol bunuh diri|penalti meragukan|sundulan ke tiang|tendangan bebas jarak jauh|blunder kiper"
        "|serangan balik cepat"
        "|sepak pojok tanpa kawalan|tendangan salto",
        "line": "bus nomor 12|kereta komuter|trem kota|kereta bawah tanah|kapal feri|bus malam|kereta terakhir",
        "news": "kolam renang baru|jam buka perpustakaan|jalur sepeda|tarif parkir|kantin sekolah|pasar malam"
        "|penanaman pohon"
        "|jadwal angkut sampah|taman bermain",
    },
    "topics": {
        "cuaca": (
            "Bangun-bangun ada {sky} {where}, suhunya {n} derajat {when}.",
            "Keluar {when} tanpa payung, eh ketemu {sky} {where}.",
            "Kata {who}, kalau {sky} datang {when}, musimnya bakal panjang.",
            "Sudah {n} hari {sky} terus {where}, capek juga.",
        ),
        "bola": (
            "Kita kalah {when} gara-gara {move} di menit {n}, padahal {team} main biasa saja.",
            "Kalau {team} main begini {when}, siap-siap lihat {move} lagi.",
            "Ketemu {who} {where}, yang dibahas cuma {move}.",
            "Gila pertandingannya, {team} bikin {n} pelanggaran lalu {move} {when}.",
        ),
        "jalan": (
            "Lagi-lagi {line} berhenti {where} selama {n} menit.",
            "Naik {line} bareng {who} {when}, telat parah.",
            "Ada yang tahu {line} masih lewat {where}? Sudah nunggu {n} menit.",
            "Tarif naik {n} persen, tapi {line} tetap penuh {when}.",
        ),
        "dapur": (
            "Masak {dish} {when}, cukup buat {n} orang.",
            "Rahasia {who} bikin {dish} ternyata mulai dari {when} dan sabar.",
            "Warung {where} jual {dish} cuma {n} ribu.",
            "Gagal {n} kali {when}, tapi {dish} akhirnya enak banget.",
        ),
        "kode": (
            "Habis {n} menit ngurusin {tool} {when}, ternyata {bug}.",
            "Untung ada {who}, {tool} jalan lagi; biang keroknya {bug}.",
            "Tidak ada yang peduli {tool} sampai muncul {bug} {when}.",
            "Sekarang {tool} lebih cepat {n} detik, saya curiga {bug}.",
        ),
        "kampung": (
            "Ternyata {news} berubah {when}, {who} sampai tidak percaya.",
            "Ada {n} warga kumpul {where} membahas {news}.",
            "Menurut {who}, {news} molor {n} minggu lagi.",
            "Tolong tanya warga soal {news} {where} dulu sebelum diputuskan {when}.",
        ),
    },
    "openers": "Jujur:|Oke:|Tanya serius:|Catatan diri:|Selamat pagi.|Saya bilang saja:|Lucunya:|Singkatnya:"
    "|Ngaku deh:",
    "closers": "Kalian gimana?|Hari yang aneh.|Besok lanjut.|Sekian.|Butuh bantuan.|Menurut kalian?|Ya sudahlah."
    "|Semangat.",
    "replies": (
        "Setuju banget.",
        "Saya kurang sepakat.",
        "Jadi ingat sesuatu.",
        "Makasih sudah berbagi.",
        "Serius nih?",
    ),
    "acks": "Makasih|Betul|Wkwk iya|Mantap|Tepat|Entahlah|Semangat ya|Suka banget",
    "abuse": ("diam kamu, dasar badut", "bodoh banget sih, berhenti nulis", "tidur sana, konyol"),
    "contact": (
        "Soal kamar kos hubungi saya di {value} ya, nanti dibalas.",
        "Data saya bocor, {value}, tidak berhenti dari kemarin.",
    ),
    "calls": (
        "Ayo tanda tangan demi {news} sebelum terlambat!",
        "Kita {n} ribu suara untuk {news}, salin dan sebarkan.",
    ),
    "spam": (
        "GIVEAWAY! {n}000 {coin} buat yang follow dan share {link}",
        "Follow aku nanti difolback, {n} pengikut dalam satu jam #folback #f4f {link}",
        "Dapat {n}00 ribu sehari dari rumah tanpa pengalaman, tempat terbatas {link}",
        "Selamat, kamu terpilih dapat {prize}, konfirmasi data di sini {link}",
    ),
    "machine": (
        "Di dunia yang serba cepat ini, {news} memainkan peran penting dalam membangun komunitas yang lebih inklusif.",
        "Sebagai model bahasa, saya tidak punya pendapat pribadi, tetapi berikut {n} kiat seputar {dish}.",
        "Kesimpulannya, {tool} menghadirkan peluang unik untuk mendorong inovasi dan pertumbuhan berkelanjutan.",
    ),
    "shorts": "halo|makasih|wkwkwk|iya|oke|aduh|keren|pagi|nggak|gas",
    "tags": "SelamatPagi|HariSenin|MasakanRumah|HariLaga|KabarKampung|Koding",
}
