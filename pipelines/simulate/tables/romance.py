"""Spanish, Portuguese and French."""

from __future__ import annotations

from pipelines.simulate.tables.table import Table

SPANISH: Table = {
    "code": "es",
    "weight": 10,
    "space": " ",
    "slots": {
        "where": "junto al mercado viejo|cerca del puente norte|en la plaza mayor|por el paseo del río"
        "|detrás del museo"
        "|en la calle del molino|al lado de la biblioteca|en el andén cuatro|frente al puerto|en el barrio alto"
        "|a la salida del colegio|bajo los soportales",
        "when": "esta mañana|anoche|el domingo|antes de desayunar|después de comer|el martes|hace una hora"
        "|al mediodía|de madrugada|ayer por la tarde|hace un rato|este fin de semana",
        "who": "mi vecina|mi hermano|mi panadero|una compañera|mi abuela|nuestro conductor|mi jefe"
        "|nuestra profesora|mi primo",
        "sky": "niebla cerrada|un sol de justicia|una tormenta tremenda|granizo|llovizna|un viento helado|bochorno"
        "|un cielo rosa|la primera helada|nubes bajas",
        "dish": "lentejas|una tortilla de patatas|arroz con verduras|gazpacho|empanadas de queso"
        "|un guiso de garbanzos"
        "|croquetas|pan casero|una tarta de limón|sopa de fideos|pimientos rellenos|natillas",
        "tool": "el script de despliegue|la batería de pruebas|el analizador|la caché|la migración"
        "|el formulario de acceso"
        "|la cola de mensajes|el índice de búsqueda|la tarea nocturna",
        "bug": "una coma de más|un huso horario|un certificado caducado|un bucle infinito"
        "|una errata en la configuración"
        "|dos relojes descuadrados|una comilla sin cerrar|un permiso mal puesto",
        "team": "el equipo local|el equipo visitante|el juvenil|el equipo rojo|el equipo azul"
        "|el recién ascendido|el equipo femenino",
        "move": "un gol en propia puerta|un penalti dudoso|un cabezazo al palo|una falta lejana|un fallo del portero"
        "|un contragolpe|un córner mal defendido|una chilena",
        "line": "el autobús 12|el tren de cercanías|el tranvía|el metro|el ferry|el búho nocturno|el último tren",
        "news": "la piscina nueva|el horario de la biblioteca|el carril bici|la tarifa del aparcamiento"
        "|el comedor escolar"
        "|el mercado nocturno|la plantación de árboles|la recogida de basura|el parque infantil",
    },
    "topics": {
        "tiempo": (
            "Hoy tenemos {sky} {where} y {n} grados {when}.",
            "Salí {when} sin paraguas y me pilló {sky} {where}.",
            "Dice {who} que {sky} {when} anuncia un invierno muy largo.",
            "Llevamos {n} días con {sky} {where}, ya cansa.",
        ),
        "fútbol": (
            "Perdimos {when} por {move} en el minuto {n}, y eso que {team} no hizo nada.",
            "Si {team} juega así {when}, no quiero ver {move} otra vez.",
            "Me encontré a {who} {where} y solo hablaba de {move}.",
            "Qué partido el de {team}: {n} faltas y {move} {when}.",
        ),
        "transporte": (
            "Otra vez {line} parado {where} durante {n} minutos.",
            "Fui con {who} en {line} {when} y llegamos tardísimo.",
            "¿Alguien sabe si pasa {line} {where}? Llevo aquí {n} minutos.",
            "Cobran {n} céntimos más por {line} {when} y no avisan.",
        ),
        "cocina": (
            "Preparé {dish} {when} y sobró para {n} personas.",
            "El secreto de {who} para hacer {dish} es no tener prisa {when}.",
            "El bar que está {where} sirve {dish} y cuesta {n} monedas.",
            "Se me quemaron {n} cosas {when}, pero {dish} quedó de cine.",
        ),
        "código": (
            "Pasé {n} minutos mirando {tool} {when} y era {bug}.",
            "Gracias a {who} ya funciona {tool}; el culpable fue {bug}.",
            "Nadie revisa {tool} hasta que aparece {bug} {when}.",
            "Hoy {tool} tarda {n} segundos menos y sospecho de {bug}.",
        ),
        "barrio": (
            "Han cambiado {news} {when} y {who} no se lo cree.",
            "Éramos {n} vecinos {where} para hablar sobre {news}.",
            "Según {who}, {news} se retrasa {n} semanas.",
            "Me gustaría que preguntaran por {news} {where} antes de decidir nada {when}.",
        ),
    },
    "openers": "La verdad:|A ver:|Pregunta seria:|Nota mental:|Buenos días.|Lo digo ya:|Curioso:|Resumen:|Confieso:",
    "closers": "¿Y ustedes?|Vaya día.|Qué cosas.|Mañana más.|No digo nada más.|Se agradece ayuda.|Opinen.|En fin.",
    "replies": (
        "Totalmente de acuerdo.",
        "No lo veo así.",
        "Eso me recuerda algo.",
        "Gracias por contarlo.",
        "¿En serio?",
    ),
    "acks": "Gracias|Tal cual|Jajaja sí|Qué bueno|Exacto|Ni idea|Ánimo|Me encanta",
    "abuse": ("cállate ya, eres un payaso", "qué tonto eres, no dices más que bobadas", "vete a dormir, ridículo"),
    "contact": (
        "Para lo del piso escríbeme a {value} y te cuento.",
        "Alguien publicó mis datos, {value}, y ahora no paran.",
    ),
    "calls": ("¡Firma para salvar {news} antes de que sea tarde!", "Somos {n} mil voces por {news}, copia y comparte."),
    "spam": (
        "¡SORTEO! Regalamos {n}000 {coin} a quien siga y comparta {link}",
        "Sígueme y te sigo, {n} seguidores en una hora #siguemeytesigo #f4f {link}",
        "Gana {n}00 euros desde casa sin experiencia, plazas limitadas {link}",
        "Has sido elegido para ganar {prize}, confirma tus datos aquí {link}",
    ),
    "machine": (
        "En el mundo actual, {news} desempeña un papel fundamental en el desarrollo de comunidades más inclusivas.",
        "Como modelo de lenguaje, no tengo opiniones personales, pero aquí tienes {n} consejos sobre {dish}.",
        "Sin duda, {tool} representa una oportunidad única para potenciar la innovación y el crecimiento continuo.",
    ),
    "shorts": "hola|gracias|jajaja|sí|vale|uf|genial|buenas|nada|vamos",
    "tags": "BuenosDías|FelizLunes|CocinaFácil|DíaDePartido|VidaDeBarrio|Programación",
}

PORTUGUESE: Table = {
    "code": "pt",
    "weight": 7,
    "space": " ",
    "slots": {
        "where": "perto do mercado velho|na ponte norte|na praça central|na beira do rio|atrás do museu"
        "|na rua do moinho"
        "|ao lado da biblioteca|na plataforma quatro|em frente ao porto|no alto do morro|na saída da escola",
        "when": "hoje cedo|ontem à noite|no domingo|antes do café|depois do almoço|na terça|faz uma hora"
        "|ao meio-dia|de madrugada|ontem à tarde|agora há pouco|no fim de semana",
        "who": "minha vizinha|meu irmão|meu padeiro|uma colega|minha avó|nosso motorista|meu chefe"
        "|nossa professora|meu primo",
        "sky": "neblina fechada|um sol de rachar|uma tempestade feia|granizo|garoa fina|um vento gelado"
        "|um calor abafado"
        "|um céu cor-de-rosa|a primeira geada|nuvens baixas",
        "dish": "feijão tropeiro|uma torta de frango|arroz com legumes|sopa de abóbora|pastéis de queijo"
        "|bolo de cenoura"
        "|pão caseiro|um pudim de leite|macarrão ao alho|moqueca de banana|salada de grãos",
        "tool": "o script de publicação|a bateria de testes|o analisador|o cache|a migração|a tela de entrada"
        "|a fila de mensagens|o índice de busca|a rotina noturna",
        "bug": "uma vírgula sobrando|um fuso horário|um certificado vencido|um laço infinito|um erro de digitação"
        "|dois relógios diferentes|uma aspa aberta|uma permissão errada",
        "team": "o time da casa|o time visitante|o sub-vinte|o time vermelho|o time azul|o time feminino"
        "|o recém-promovido",
        "move": "um gol contra|um pênalti duvidoso|uma cabeçada na trave|uma falta de longe|um frango do goleiro"
        "|um contra-ataque|um escanteio bobo|uma bicicleta",
        "line": "o ônibus 12|o trem das sete|o bonde|o metrô|a balsa|o corujão|o último trem",
        "news": "a piscina nova|o horário da biblioteca|a ciclovia|o preço do estacionamento|a merenda da escola"
        "|a feira noturna|o plantio de árvores|a coleta de lixo|o parquinho",
    },
    "topics": {
        "tempo": (
            "Acordei com {sky} {where} e {n} graus {when}.",
            "Saí {when} sem guarda-chuva e peguei {sky} {where}.",
            "Segundo {who}, {sky} {when} é sinal de inverno comprido.",
            "Já são {n} dias com {sky} {where}, ninguém aguenta.",
        ),
        "futebol": (
            "Perdemos {when} com {move} aos {n} minutos, e {team} nem jogou bem.",
            "Se {team} continuar assim {when}, vem aí {move} de novo.",
            "Encontrei {who} {where} e o assunto foi só {move}.",
            "Que jogo fez {team}: {n} faltas e {move} {when}.",
        ),
        "transporte": (
            "De novo {line} parou {where} por {n} minutos.",
            "Peguei {line} com {who} {when} e chegamos muito atrasados.",
            "Alguém sabe se {line} ainda passa {where}? Estou esperando há {n} minutos.",
            "Aumentaram {n} centavos na passagem: {line} lotado {when} e sem aviso.",
        ),
        "cozinha": (
            "Fiz {dish} {when} e deu para {n} pessoas.",
            "O segredo de {who} para {dish} é não ter pressa {when}.",
            "A barraca que fica {where} vende {dish} por {n} moedas.",
            "Errei {n} vezes a receita {when}, mas {dish} saiu ótimo no final.",
        ),
        "código": (
            "Fiquei {n} minutos olhando {tool} {when} e era só {bug}.",
            "Com a ajuda de {who}, {tool} voltou; a culpa era de {bug}.",
            "Ninguém olha {tool} até aparecer {bug} {when}.",
            "Agora {tool} leva {n} segundos a menos, e desconfio de {bug}.",
        ),
        "bairro": (
            "Mudaram {news} {when} e {who} não acreditou.",
            "Éramos {n} moradores {where} para falar sobre {news}.",
            "Pelo que disse {who}, {news} atrasa mais {n} semanas.",
            "Queria que perguntassem sobre {news} {where} antes de decidir qualquer coisa {when}.",
        ),
    },
    "openers": "Na real:|Olha:|Pergunta séria:|Bom dia.|Vou falar logo:|Curioso:|Resumo:|Confesso:|Nota para mim:",
    "closers": "E vocês?|Que dia.|Cada uma.|Amanhã tem mais.|Não digo mais nada.|Aceito ajuda.|Opinem.|Enfim.",
    "replies": ("Concordo demais.", "Não acho não.", "Isso me lembrou uma coisa.", "Valeu por contar.", "Sério mesmo?"),
    "acks": "Valeu|Isso aí|Kkkk sim|Que bom|Exato|Sei não|Força|Adorei",
    "abuse": ("cala a boca, seu palhaço", "que bobagem, você é muito burro", "vai dormir, ridículo"),
    "contact": (
        "Sobre o quarto, fala comigo em {value} que eu explico.",
        "Vazaram meus dados, {value}, e agora não param.",
    ),
    "calls": (
        "Assine para salvar {news} antes que seja tarde!",
        "Somos {n} mil vozes e {news} precisa de nós, copie e compartilhe.",
    ),
    "spam": (
        "SORTEIO! {n}000 {coin} para quem seguir e compartilhar {link}",
        "Segue que eu sigo de volta, {n} seguidores em uma hora #sdv #f4f {link}",
        "Ganhe {n}00 reais por dia em casa sem experiência, vagas limitadas {link}",
        "Você foi escolhido para ganhar {prize}, confirme seus dados aqui {link}",
    ),
    "machine": (
        "No mundo atual, {news} desempenha um papel fundamental na construção de comunidades mais inclusivas.",
        "Como modelo de linguagem, não tenho opiniões pessoais, mas aqui estão {n} dicas sobre {dish}.",
        "Sem dúvida, {tool} representa uma oportunidade única de impulsionar a inovação e o crescimento contínuo.",
    ),
    "shorts": "oi|valeu|kkkkk|sim|beleza|nossa|top|bom dia|nada|bora",
    "tags": "BomDia|SegundaFeira|CozinhaFácil|DiaDeJogo|VidaNoBairro|Programação",
}

FRENCH: Table = {
    "code": "fr",
    "weight": 4,
    "space": " ",
    "slots": {
        "where": "près du vieux marché|sur le pont nord|place de la mairie|le long du canal|derrière le musée"
        "|rue du moulin"
        "|à côté de la bibliothèque|sur le quai quatre|face au port|dans le quartier haut|devant l'école",
        "when": "ce matin|hier soir|dimanche|avant le café|après le déjeuner|mardi|il y a une heure|vers midi"
        "|à l'aube|hier après-midi|à l'instant|ce week-end",
        "who": "ma voisine|mon frère|notre boulanger|une collègue|ma grand-mère|notre chauffeur|mon patron"
        "|notre prof|mon cousin",
        "sky": "un brouillard épais|un soleil de plomb|un orage énorme|de la grêle|du crachin|un vent glacial"
        "|une chaleur lourde"
        "|un ciel tout rose|les premières gelées|des nuages bas",
        "dish": "une soupe de lentilles|une quiche aux poireaux|du riz aux légumes|une ratatouille|des crêpes"
        "|un gratin de courge"
        "|du pain maison|une tarte au citron|des pâtes à l'ail|un clafoutis|une salade de pois chiches",
        "tool": "le script de déploiement|la suite de tests|l'analyseur|le cache|la migration|la page de connexion"
        "|la file de messages|l'index de recherche|la tâche de nuit",
        "bug": "une virgule en trop|un fuseau horaire|un certificat expiré|une boucle infinie|une faute de frappe"
        "|deux horloges décalées|un guillemet oublié|un droit d'accès manquant",
        "team": "l'équipe locale|l'équipe visiteuse|l'équipe junior|l'équipe rouge|l'équipe bleue|le promu"
        "|l'équipe féminine",
        "move": "un but contre son camp|un penalty douteux|une tête sur le poteau|un coup franc lointain"
        "|une boulette du gardien"
        "|une contre-attaque|un corner mal défendu|une reprise de volée",
        "line": "le bus 12|le train de banlieue|le tramway|le métro|le bac|le bus de nuit|le dernier train",
        "news": "la nouvelle piscine|les horaires de la bibliothèque|la piste cyclable|le prix du parking|la cantine"
        "|le marché nocturne|la plantation d'arbres|le ramassage des déchets|l'aire de jeux",
    },
    "topics": {
        "météo": (
            "Réveil avec {sky} {where} et {n} degrés {when}.",
            "Je suis sorti {when} sans parapluie et j'ai eu {sky} {where}.",
            "D'après {who}, {sky} {when} annonce un hiver très long.",
            "Voilà {n} jours qu'on a {sky} {where}, ça suffit.",
        ),
        "foot": (
            "On a perdu {when} sur {move} à la {n}e minute, alors que {team} ne montrait rien.",
            "À ce rythme, {team} va encore nous offrir {move} {when}.",
            "J'ai croisé {who} {where}, on n'a parlé que de ça : {move}.",
            "Quel match pour {team} : {n} fautes et {move} {when}.",
        ),
        "transport": (
            "Encore {line} bloqué {where} pendant {n} minutes.",
            "J'ai pris {line} avec {who} {when} et on est arrivés très en retard.",
            "Quelqu'un sait si {line} passe encore {where} ? J'attends depuis {n} minutes.",
            "Ils demandent {n} centimes de plus {when}, et {line} est toujours plein.",
        ),
        "cuisine": (
            "J'ai préparé {dish} {when}, il y en avait pour {n} personnes.",
            "Le secret de {who} pour réussir {dish}, c'est de prendre son temps {when}.",
            "Le petit stand {where} propose {dish} pour {n} pièces.",
            "J'ai raté la recette {n} fois {when}, mais {dish} valait la peine.",
        ),
        "code": (
            "J'ai passé {n} minutes sur {tool} {when} et c'était {bug}.",
            "Grâce à {who}, {tool} remarche ; le coupable : {bug}.",
            "Personne ne regarde {tool} avant de tomber sur {bug} {when}.",
            "{when_}, {tool} met {n} secondes de moins, et je soupçonne {bug}.",
        ),
        "quartier": (
            "Ils ont changé {news} {when} et {who} n'en revient pas.",
            "Nous étions {n} habitants {where} pour parler de ça : {news}.",
            "Selon {who}, {news} prendra encore {n} semaines.",
            "J'aimerais qu'on nous demande notre avis sur {news} {where} avant de décider {when}.",
        ),
    },
    "openers": "Franchement :|Bon.|Question sérieuse :|Note pour moi :|Bonjour à tous.|Je le dis :|Curieux :"
    "|Bref résumé :|J'avoue :",
    "closers": "Et vous ?|Quelle journée.|On en reparle demain.|Je ne dis plus rien.|Toute aide est bienvenue."
    "|Vos avis ?|Bref.",
    "replies": (
        "Tout à fait d'accord.",
        "Je ne suis pas convaincu.",
        "Ça me rappelle quelque chose.",
        "Merci du partage.",
        "Ah bon ?",
    ),
    "acks": "Merci|Carrément|Ah oui mdr|Trop bien|Exactement|Aucune idée|Courage|J'adore",
    "abuse": ("tais-toi, espèce de clown", "tu es vraiment bête, arrête d'écrire", "va te coucher, tu es ridicule"),
    "contact": (
        "Pour l'appartement, joignez-moi ici : {value} et je réponds.",
        "Mes données ont fuité, {value}, et ça n'arrête plus.",
    ),
    "calls": (
        "Signez pour sauver {news} avant qu'il ne soit trop tard !",
        "Nous sommes {n} mille à défendre {news}, copiez et partagez.",
    ),
    "spam": (
        "CONCOURS ! {n}000 {coin} à gagner, abonne-toi et partage {link}",
        "Suis-moi et je te suis, {n} abonnés en une heure #followback #f4f {link}",
        "Gagnez {n}00 euros par jour à la maison sans expérience, places limitées {link}",
        "Vous avez été choisi pour gagner {prize}, confirmez vos données ici {link}",
    ),
    "machine": (
        "Dans le monde d'aujourd'hui, {news} joue un rôle essentiel dans l'essor de communautés plus inclusives.",
        "En tant que modèle de langage, je n'ai pas d'opinion personnelle, mais voici {n} conseils sur {dish}.",
        "Sans aucun doute, {tool} constitue une occasion unique de stimuler l'innovation et la croissance durable.",
    ),
    "shorts": "salut|merci|mdr|oui|ok|ouf|génial|coucou|rien|allez",
    "tags": "BonneJournée|LundiMatin|CuisineMaison|JourDeMatch|VieDeQuartier|Développement",
}
