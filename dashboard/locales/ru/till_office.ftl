# Услуги, цены, условия, группы и скидки.
place-till-services = Услуги и цены
place-till-payers = Группы и договоры
place-till-terms = Условия оплаты
place-till-scales = Скидки
place-till-overrides = Сверх лимита

till-office-save = Сохранить
till-office-change = Изменить
till-office-search = Поиск
till-office-search-service = Код, название или другой код
till-office-more = Дальше
till-office-none = нет
till-office-choose = выберите
till-office-show = Показать
till-office-name = Название
till-office-code = Код
till-office-code-help = Буквы, цифры, точки, дефисы и подчёркивания, не больше 40. Остаётся навсегда.
till-office-code-drawn = Буквы, цифры, точки и дефисы; пусто: код создаст программа. Остаётся навсегда.
till-office-kind = Вид
till-office-currency = Валюта
till-office-external = Код в других системах
till-office-external-help = Как называет её медицинская или учётная система; пусто: тот же код.
till-office-version = версия { $a }
till-office-versions = Версии
till-office-since = с { $a }
till-office-from = С какого дня
till-office-from-help = Сегодня: с этой минуты. Другой день: с его полуночи. Что зарегистрировано, остаётся по своей цене.
till-office-first-day = Первый день
till-office-last-day = Последний день
till-office-number = Номер карты пациента
till-office-with-ended = и прекращённые
till-office-left = осталось: { $a }
till-office-entry = запись аудита { $a }

# Услуги
till-office-service = Услуга
till-office-service-new = Новая услуга
till-office-service-what = Что это
till-office-category = Категория
till-office-name-in = Название ({ $a })
till-office-at-home = на дому
till-office-at-home-long = У пациента на дому: всегда оплачивается заранее, при любых условиях
till-office-ended = больше не оказывается
till-office-ended-long = Больше не оказывается; что зарегистрировано, остаётся
till-office-price = Цена
till-office-price-now = Цена сейчас
till-office-price-next = Запланирована
till-office-price-from = { $price } с { $from }
till-office-prices = Цены
till-office-no-price = нет цены
till-office-free = бесплатно
till-office-not-sold = не продаётся
till-office-sold-price = цена выше
till-office-or = Или
till-office-planned = запланирована
till-office-counts = действует
till-office-set-price = Новая цена
till-office-set-price-go = Установить цену
till-office-no-services = Услуг ещё нет
till-office-no-services-text = Создайте услугу или возьмите прейскурант из файла.

# Прейскурант из файла
till-office-import = Прейскурант из файла
till-office-back-services = Услуги и цены
till-office-choose-file = Выберите файл
till-office-another-file = Другой файл
till-office-file = Файл CSV
till-office-look = Посмотреть
till-office-file-help = Запятая, точка с запятой или табуляция; UTF-8; столбцы в любом порядке, обязателен только первый. Цена — сумма, слово free (бесплатно) или слово none (больше не продаётся); пусто оставляет прежнюю. До подтверждения ничего не меняется. До 2 МиБ; большие списки загружают на сервере.
till-office-template = Прейскурант как он есть, для заполнения
till-office-look-take = Вот что изменится. Пока ничего не изменено.
till-office-look-same = Всё уже так.
till-office-look-faults = Взять ничего нельзя: исправьте эти строки в файле и выберите его снова.
till-office-take = Взять именно так
till-office-list-changed = Тем временем кто-то другой что-то изменил. Вот что файл изменит теперь.
till-office-counts-from = действует с { $a }
till-office-count-new = новых: { $n }
till-office-count-changed = изменённых: { $n }
till-office-count-unchanged = без изменений: { $n }
till-office-state-new = новая
till-office-state-changed = изменена
till-office-state-unchanged = без изменений
till-office-faults = Что не так
till-office-line = Строка
till-office-lines = По строкам
till-office-column = Столбец
till-office-wrong = Что не так и что делать
till-office-before = Было
till-office-after = Станет
till-office-stays = как есть
till-office-service-changes = меняется сама услуга
till-office-stays-planned = остаётся запланированной: { $price } с { $from }
till-office-more-faults = { $n ->
    [one] и ещё { $n } ошибка
    [few] и ещё { $n } ошибки
   *[many] и ещё { $n } ошибок
}
till-office-more-lines = { $n ->
    [one] и ещё { $n } строка
    [few] и ещё { $n } строки
   *[many] и ещё { $n } строк
}
till-office-fault-not_csv = Это не файл CSV в UTF-8. Сохраните его как «CSV UTF-8».
till-office-fault-too_much = Больше 16 МиБ или 50 000 строк. Возьмите по частям.
till-office-fault-empty = Файл пуст. Его первая строка называет столбцы.
till-office-fault-column = Такой столбец неизвестен. Удалите его или исправьте название.
till-office-fault-column_twice = Этот столбец есть дважды. Удалите один.
till-office-fault-column_missing = Этот столбец обязателен.
till-office-fault-fields = Полей больше, чем столбцов. Поля с разделителем берите в кавычки.
till-office-fault-long = Поле длиннее 1000 байт.
till-office-fault-code = Код — от 1 до 40 букв, цифр, точек, дефисов и подчёркиваний.
till-office-fault-twice = Это уже есть в строке выше. Удалите одну из двух.
till-office-fault-differs = Другая строка этой услуги говорит иное. Напишите в обеих одно и то же.
till-office-fault-name_missing = Новой услуге нужно название. Заполните столбец, например name_ru.
till-office-fault-text = Одна строка без управляющих знаков: до 120 для названия, до 80 для прочего.
till-office-fault-flag = Напишите yes или no (да или нет).
till-office-fault-currency = Такой валюты в обращении нет. Напишите три заглавные буквы, например EUR.
till-office-fault-zero = Цена 0 пишется словом free. Чтобы цена осталась прежней, оставьте поле пустым.
till-office-fault-negative = Цена не бывает отрицательной.
till-office-fault-amount = Это не сумма. Напишите как 1018,00 или free, или none.
till-office-fault-digits = Цифр после запятой больше, чем у валюты.
till-office-fault-large = Слишком большая сумма.
till-office-fault-person = С этим номером нет пациента или их больше одного.
till-office-fault-day = Напишите день как 2027-03-31.
till-office-fault-days = Последний день раньше первого.

# Группы и договоры
till-office-payer-new = Новая группа или договор
till-office-payer-what = Что это
till-office-payer-ended = Прекращено: условия больше не действуют
till-office-has-ended = прекращено
till-office-no-payers = Групп и договоров ещё нет
till-office-no-payers-text = Семья, предприятие, страховая: их участники платят на своих условиях или делят один лимит.
till-office-members = Участники
till-office-no-members = Участников нет.
till-office-member-add = Добавить участника
till-office-member-add-go = Добавить
till-office-members-file = Участники из файла
till-office-members-help = По номерам карт. Кого нет в файле, те остаются как были. Столбцы:
till-office-members-take = Вот что изменится. Пока ничего не изменено.
till-office-members-same = Все они уже участники.
till-office-members-changed = { $n ->
    [one] добавить или изменить { $n } участника
    [few] добавить или изменить { $n } участников
   *[many] добавить или изменить { $n } участников
}
till-office-leave = Прекратить сегодня
till-office-terms-of-it = Условия для неё
till-office-pot = Общий лимит
till-office-pot-used = Занято общего лимита
till-office-pot-limit = Могут быть должны вместе
till-office-pot-go = Установить общий лимит
till-office-pot-help = Может быть меньше уже имеющегося долга: тогда ничего больше не регистрируется, пока не оплатят. Действует, если назван в условиях.
till-office-no-pot = Не установлен.
till-office-used-of = { $used } из { $limit }

# Условия
till-office-terms-new = Новые условия
till-office-terms-own = Личные условия
till-office-terms-count = { $n ->
    [one] { $n } действует или начнёт действовать
    [few] { $n } действуют или начнут действовать
   *[many] { $n } действуют или начнут действовать
}
till-office-whom = Для кого
till-office-owner-help = Для одного пациента: сначала найдите его по номеру.
till-office-mode = Оплата
till-office-limit = Лимит каждого пациента
till-office-limit-is = лимит { $a }
till-office-limit-help = Только при постоплате. У группы: свой лимит каждого участника. Пусто: ограничивает только общий лимит.
till-office-pot-of = общий лимит: { $a }
till-office-scheme = Скидки
till-office-scheme-is = скидки { $a }
till-office-priority = Приоритет
till-office-priority-is = приоритет { $n }
till-office-priority-help = От 0 до 1000; действует больший. Из равных: пациент, договор, группа, все.
till-office-valid = Срок
till-office-valid-now = действуют
till-office-valid-later = впереди
till-office-valid-over = истекли
till-office-withdraw = Отозвать
till-office-withdrawn = отозваны
till-office-withdraw-help = Больше не действуют с этой минуты. Что на них зарегистрировано, остаётся.
till-office-no-terms = Условий ещё нет
till-office-no-terms-text = Без них нельзя зарегистрировать ни одной услуги. Начните с условий для всех.
till-office-no-everybody = Сегодня нет условий для всех: кто не входит в группу и не имеет личных условий, тому ничего нельзя зарегистрировать.
till-office-overlap = { $owner }: у { $counts } и { $hidden } один приоритет и общие дни. Действуют { $counts }, а { $hidden } нет.
till-office-for-patient = Что действует для пациента сегодня и почему
till-office-for-patient-help = По номеру карты; просмотр записывается.
till-office-on-day = на { $a }
till-office-nothing-counts = Ничего не действует: этому пациенту нельзя зарегистрировать услугу.
till-office-why = Почему
till-office-why-counts = действуют
till-office-why-priority = у других выше приоритет
till-office-why-particular = другие более частные
till-office-why-older = действуют более старые того же рода
till-office-why-later = начнутся позже
till-office-why-over = истекли
till-office-why-currency = другая валюта

# Скидки
till-office-discounts-text = Ставка следует из суммы услуг, оказанных пациенту раньше, после скидок. Она относится ко всей услуге. Шкала действует, если названа в условиях; изменение — это новая версия, оно не касается зарегистрированного.
till-office-scheme-new = Новая шкала
till-office-scheme-what = Шкала
till-office-no-schemes = Шкал ещё нет
till-office-no-schemes-text = Создайте шкалу и назовите её в условиях оплаты.
till-office-steps = Ступени
till-office-steps-help = С этой суммы — такая ставка. Суммы растут; пустые строки не считаются.
till-office-step = с { $from }: { $rate }
till-office-step-from = С суммы
till-office-rate = Ставка
till-office-rounding = Округление
till-office-rounded = { $how }, до { $to }
till-office-unit = Округлять до
till-office-calculator = Что она даёт
till-office-calculator-text = Каждая цена после всех предыдущих. Ничего не регистрируется.
till-office-before-sum = Оказано раньше
till-office-prices-line = Цены
till-office-prices-help = По одной в строке или через точку с запятой; не больше 50.
till-office-calculate = Посчитать
till-office-discount = Скидка
till-office-to-pay = К оплате
till-office-next-step = Следующая ступень
till-office-total = Вместе

# Сверх лимита
till-office-allow = Разрешить больше
till-office-allow-text = Не больше { $most } за раз и не дольше { $longest }. Регистрация открывается сразу; это пишется в журнал аудита.
till-office-allow-go = Разрешить
till-office-whose = Чей лимит
till-office-other-patient = другой
till-office-or-pot = Или общий лимит
till-office-extra = Больше на
till-office-until = До
till-office-how-long = На сколько
till-office-hours = { $n ->
    [one] { $n } час
    [few] { $n } часа
   *[many] { $n } часов
}
till-office-reason = Причина
till-office-words = Причина словами
till-office-words-help = От 10 до 500 знаков; они стоят в журнале аудита. Без диагноза.
till-office-end-now = Прекратить
till-office-show-what = Показать
till-office-show-open = открытые
till-office-show-all = все
till-office-override-open = открыто
till-office-override-ended = прекращено раньше
till-office-override-over = истекло
till-office-target-patient = пациент
till-office-target-pot = общий лимит
till-office-reason-emergency = жизнь или здоровье не ждут
till-office-reason-treatment = лечение нельзя прерывать
till-office-reason-payment = деньги в пути
till-office-reason-surety = кто-то поручился
till-office-reason-mistake = лимит был установлен неверно
till-office-reason-other = другая причина
till-office-no-overrides = Сейчас сверх лимитов ничего не разрешено
till-office-no-overrides-text = Что разрешено, стоит здесь до своего конца.

# Сделано
till-office-done-service = Услуга сохранена.
till-office-done-price = Цена установлена.
till-office-done-same = Всё уже было так; ничего не изменено.
till-office-done-list = Прейскурант взят.
till-office-done-payer = Сохранено.
till-office-done-pot = Общий лимит установлен.
till-office-done-member = Участник добавлен.
till-office-done-members = Участники взяты.
till-office-done-left = Участие прекращается сегодня.
till-office-done-terms = Условия сохранены.
till-office-done-withdrawn = Условия отозваны.
till-office-done-scheme = Шкала сохранена.
till-office-done-override = Теперь разрешено больше; регистрация открыта сразу.
till-office-done-ended = Прекращено.

# Что не так с набранным
till-office-bad-code = Код — от 1 до 40 букв, цифр, точек, дефисов и подчёркиваний, начинается с буквы или цифры.
till-office-bad-code_taken = Такой код уже есть. Выберите другой или откройте то, что он обозначает, и измените.
till-office-bad-id = Код — от 1 до 40 букв, цифр, точек, дефисов и подчёркиваний, начинается с буквы или цифры.
till-office-bad-names = У услуги есть название хотя бы на одном языке, от 1 до 120 знаков в одну строку.
till-office-bad-name = Название — от 1 до 120 знаков в одну строку.
till-office-bad-category = Категория — не больше 80 знаков в одну строку.
till-office-bad-external = Другой код — не больше 80 знаков в одну строку и только у одного.
till-office-bad-service = Такой услуги нет.
till-office-bad-price = Это не цена. Напишите как 1018,00, не отрицательную, с числом знаков как у валюты.
till-office-bad-zero = Цена 0 не набирается числом: выберите «бесплатно».
till-office-bad-prices = Напишите до 50 неотрицательных сумм, по одной в строке.
till-office-bad-before = Сумма раньше — как 12400,00.
till-office-bad-from = Выберите день: для цен сегодня или позже, до 2200 года.
till-office-bad-until = Выберите последний день не раньше первого.
till-office-bad-until_at = Выберите, на сколько; не дольше { $a }.
till-office-bad-file = Выберите непустой файл CSV не больше 2 МиБ.
till-office-bad-number = С этим номером нет пациента или их больше одного.
till-office-bad-kind = Группа остаётся группой, договор договором. Создайте другое.
till-office-bad-limit = Лимит — сумма как 2500,00, не отрицательная.
till-office-bad-currency = Эта валюта здесь не подходит. Напишите три заглавные буквы, например EUR; шкала сохраняет свою валюту, а сверх лимита разрешают только в валюте клиники.
till-office-bad-terms = Так не бывает: при постоплате нужен лимит или общий лимит, иначе их нет; последний день не раньше первого.
till-office-bad-mode = Выберите, как оплачиваются услуги.
till-office-bad-priority = Приоритет — целое число от 0 до 1000.
till-office-bad-pot = У этой группы или договора нет общего лимита в этой валюте. Сначала установите его.
till-office-bad-scheme = Шкалы скидок с таким кодом в этой валюте нет.
till-office-bad-owner = Скажите, чей лимит: номер пациента или общий лимит. Открытых сразу — не больше десяти.
till-office-bad-owner_twice = Пациент или общий лимит, не оба.
till-office-bad-steps = В шкале от 1 до 50 ступеней; суммы растут и не отрицательны; ставки не больше 100 %. Округление — до 1–100 000 мелких единиц.
till-office-bad-rate = Ставка — проценты от 0 до 100, не больше двух знаков после запятой.
till-office-bad-rounding = Выберите, как округлять.
till-office-bad-unit = Округлять до: сумма как 0,01 или 1,00.
till-office-bad-extra = Разрешите больше 0 и не больше { $a }.
till-office-bad-reason_code = Выберите причину.
