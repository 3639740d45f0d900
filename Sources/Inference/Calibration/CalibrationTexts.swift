/// The texts that a model is calibrated with and checked on, where its publisher names none: written for this, in many
/// scripts, registers and lengths. The scales of a model depend on them to the bit, so a change here changes what the
/// next publication computes, and no earlier one.
package enum CalibrationTexts {
  /// For the scales: each line, and neighbours joined to longer texts.
  package static let calibration = joined(lines, [1, 3, 10])
  /// For the accuracy check; none of them stands in `calibration`.
  package static let heldOut = joined(heldOutLines, [1, 2, 6])

  /// Runs of so many neighbours, one after the other, for each count.
  private static func joined(_ text: String, _ counts: [Int]) -> [String] {
    let lines = text.split(separator: "\n").map(String.init)
    return counts.flatMap { count in
      stride(from: 0, to: lines.count, by: count).map {
        lines[$0..<min($0 + count, lines.count)].joined(separator: " ")
      }
    }
  }

  private static let lines = """
    ok
    Invoice 4471 was paid in full.
    How do I reset my password?
    The committee approved the budget after a short debate, with two members abstaining.
    best running shoes for flat feet 2024
    Water boils at 100 °C at sea level, and at about 90 °C on a mountain of 3,000 metres.
    def area(r): return math.pi * r ** 2  # in square metres
    ERROR 2031-04-12T08:15:30Z worker[17]: connection reset by peer (attempt 3 of 5)
    Dear Ms Okafor, thank you for your letter of the 3rd; the deposit will be returned within ten working days.
    The patient, a 54-year-old woman, was admitted with chest pain and shortness of breath; an ECG showed no ischaemia.
    SELECT name, SUM(amount) FROM orders WHERE year = 2023 GROUP BY name ORDER BY 2 DESC LIMIT 10;
    WARNING: DO NOT OPEN THE CABINET WHILE THE FAN IS TURNING!!!
    She said, “I never asked for this,” and closed the door behind her.
    https://example.org/reports/2022/q3.pdf?page=12&lang=en
    A bridge of steel and stone crosses the river where the old ferry used to land.
    3.14159 2.71828 1.41421 1.61803 0.57721
    Is there a pharmacy open on Sundays near the central station?
    The quick repair of the turbine saved the utility about four million euros in penalties.
    Photosynthesis turns carbon dioxide and water into sugar and oxygen with the help of light.
    tl;dr – it works, but slowly :-(
    Whoever holds the key can read the letter; whoever holds the seal can only prove who wrote it.
    1. Preheat the oven. 2. Mix flour, butter and salt. 3. Add cold water. 4. Rest the dough for an hour.
    The defendant shall, within thirty (30) days of receipt of this notice, remedy the breach or vacate the premises.
    Revenue rose 12.4% to $3.82bn; operating margin fell by 40 basis points on higher freight costs.
    a a a a a a a a
    ?!
    Stars more than eight times as heavy as the sun end as supernovae and leave neutron stars or black holes.
    we r late, cu @ 8 in front of the cinema!! 🎬🍿
    The recipe calls for saffron, cardamom, rose water and pistachios, but almonds will do.
    {"id": 17, "tags": ["alpha", "beta"], "nested": {"ok": true, "ratio": 0.25}}
    Quantum computers threaten RSA and elliptic curves, and leave hash functions almost as strong as before.
    Mrs. O'Neill-Østergård moved from Reykjavík to São Paulo in '98.
    In 1815 a volcano in Indonesia erupted, and the next year had no summer in Europe.
    My order arrived broken and nobody answers the phone. I want my money back.
    The left-handed pitcher struck out eleven batters in seven innings.
    Cumulonimbus clouds were building over the airfield, so the flight was moved to runway 27L.
    Supply: 5 V ± 5 %, 2.4 A; storage −40…+85 °C; humidity < 95 % (non-condensing).
    No.
    Children learn the grammar of their language without being told a single rule of it.
    The vaccine must be stored between 2 and 8 degrees and used within six hours of opening.
    git commit -m "Fix overflow in parser" && git push origin main
    To be, or not to be: that is a question for another night; tonight we patch the servers.
    Interest is compounded monthly at an annual rate of 4.75 per cent on the outstanding balance.
    The museum’s new wing, designed around a courtyard of olive trees, opens to the public on 1 May.
    AAPL MSFT NVDA AMZN GOOG
    The suspect was last seen driving a grey van with the plate KX-1937 towards the harbour.
    Le rapport trimestriel a été transmis au conseil d’administration avant la fin du mois.
    Où se trouve la gare la plus proche ? Je cherche un train pour Besançon.
    Die Prüfung der Unterlagen ergab keine Beanstandungen; die Überweisung erfolgt am Freitag.
    Straßenbahnhaltestelle, Grundstücksverkehrsgenehmigungszuständigkeit, Äpfel und Öl.
    La reunión se aplazó hasta el próximo martes porque faltaban tres firmas.
    ¿Cuántos habitantes tiene la ciudad y cuándo se fundó?
    Il medico ha prescritto due compresse al giorno, dopo i pasti, per una settimana.
    A proposta foi rejeitada por não cumprir os requisitos técnicos mínimos.
    De trein naar Utrecht vertrekt over vijf minuten van spoor elf.
    Rapporten om elförbrukningen i norra Sverige publicerades i går.
    Sprawozdanie zostało złożone w terminie, lecz bez wymaganych załączników.
    Žádost byla zamítnuta, protože nebyla podepsána oprávněnou osobou.
    Toplantı öğleden sonra saat üçte, ikinci kattaki küçük salonda yapılacak.
    Cuộc họp được dời sang thứ năm tuần sau vì nhiều người đi công tác.
    Laporan keuangan tahunan sudah diperiksa oleh auditor dari luar.
    Отчёт о состоянии моста был передан инженерам в понедельник утром.
    Скільки коштує квиток до Львова на завтра?
    Η συνεδρίαση αναβλήθηκε λόγω της απεργίας στα μέσα μεταφοράς.
    הישיבה נדחתה ליום חמישי בגלל מזג האוויר.
    تم تسليم التقرير إلى اللجنة قبل نهاية الشهر.
    گزارش سالانه هفته گذشته منتشر شد.
    बैठक अगले सोमवार को सुबह दस बजे होगी।
    সভাটি আগামী সপ্তাহে অনুষ্ঠিত হবে।
    கூட்டம் அடுத்த வாரம் நடைபெறும்.
    การประชุมถูกเลื่อนออกไปเป็นวันพฤหัสบดีหน้า
    会议推迟到下周四，请大家相互转告。
    報告書は月末までに委員会へ提出されました。
    東京の天気は晴れ、最高気温は二十五度の予想です。
    회의는 다음 주 목요일로 연기되었습니다.
    შეხვედრა გადაიდო მომავალ კვირამდე.
    Հանդիպումը հետաձգվել է մինչև հինգշաբթի։
    ስብሰባው ወደ ሐሙስ ተዛውሯል።
    ∀x ∈ ℝ: x² ≥ 0; ∑ᵢ pᵢ = 1; ∂u/∂t = α∇²u
    🙂🙃😀 👩‍🔬🧪 ➜ ✔︎ ✘ ☂ ♞
    𝓕𝓪𝓷𝓬𝔂 ｗｉｄｅ ①②③ ﬁ ﬂ ½ ™
    zxqv jkwp mmmbrr thhhk 7f3a9c0e b64 Zm9vYmFy
    The
    the and of to in is that it was for
    ... --- ... /// ::: ;;; ,,, ((( ))) [[ ]] {{ }}
    Le 14 juillet, 東京 and Москва exchanged “greetings” — twice; total: 1 234,56 €.
    Fe₂O₃ + 3 CO → 2 Fe + 3 CO₂
    <p class="note">Please read the <b>terms</b> &amp; conditions.</p>
    Chapter IX. In which our hero, having lost his hat, his horse and his way, finds an inn.
    O wild west wind, thou breath of autumn's being, who drives the leaves like ghosts before you?
    """

  private static let heldOutLines = """
    Thanks, that helped!
    The reactor was shut down for eleven days while the cooling pumps were replaced.
    cheap flights from Lisbon to Oslo in October
    Our auditors found two accounts that nobody could explain, and one that everybody had forgotten.
    for (int i = 0; i < n; ++i) sum += a[i] * b[i];
    The kidney transplant list is ordered by urgency, waiting time and compatibility.
    Where can I renew my driving licence, and what does it cost?
    2024-01-31 23:59:59 INFO backup finished: 18,402 files, 77.1 GB, 0 errors
    Bees find their way home by the sun, by landmarks and by the smell of the hive.
    The tenant pays for small repairs up to one hundred euros a year.
    HOW MANY TIMES DO I HAVE TO TELL YOU
    The orchestra rehearsed the slow movement until the violas stopped rushing.
    Shares in the shipping company lost a fifth of their value after the strait was closed.
    A triangle with sides of 3, 4 and 5 has a right angle.
    lol no way 😂 who told u that
    The archive holds letters, maps and ships' logs from 1702 to 1868.
    Add two cups of lentils, a bay leaf and enough stock to cover them; simmer for forty minutes.
    Glaciers in the valley have retreated by more than a kilometre since 1900.
    <error code="504">Gateway timeout</error>
    When the tide is low you can walk to the island; when it is high you cannot walk back.
    Le contrat prend effet à la date de sa signature par les deux parties.
    Der Zug hat wegen einer Signalstörung etwa zwanzig Minuten Verspätung.
    El hospital abrirá una nueva unidad de cuidados intensivos en otoño.
    La biblioteca resta chiusa per lavori fino al quindici settembre.
    O relatório descreve as causas do acidente e propõe novas medidas.
    Wniosek należy złożyć osobiście w urzędzie do końca miesiąca.
    Корабль вышел из порта на рассвете и взял курс на север.
    Το πλοίο φεύγει από το λιμάνι στις έξι το πρωί.
    הספינה יוצאת מהנמל בשעה שש בבוקר.
    غادرت السفينة الميناء عند الفجر.
    जहाज़ सुबह छह बजे बंदरगाह से रवाना होता है।
    เรือออกจากท่าเวลาหกโมงเช้า
    船早上六点离开港口，傍晚到达。
    この橋は百年前に石で造られました。
    배는 아침 여섯 시에 항구를 떠납니다.
    Gemi sabah altıda limandan ayrılıyor.
    E = mc², F = ma, PV = nRT
    qwfp 0x1F4A9 zzzzzz --verbose=3 ~/.config/x
    .
    yes yes no yes maybe
    """
}
