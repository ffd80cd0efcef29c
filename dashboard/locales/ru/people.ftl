# Люди: кто они, для тех, кому можно это видеть.

place-people = Люди
place-inside = Кто внутри

# Лица и хранилище
face-locked = имя закрыто
face-workstation = имя хранит рабочее место
face-erased = данные стёрты
photo-none = фото нет
photo-of = Фотография этого человека
names-locked-title = Имена закрыты
names-locked-absent = Носитель с ключом хранилища не вставлен. Вставьте его, и имена появятся сами. Двери и псевдонимы продолжают работать.
names-locked-passphrase = Хранилище ждёт парольную фразу. Её вводит тот, кто ведёт хранилище; до этого люди показаны псевдонимами, двери работают.
names-locked-by-hand = Хранилище закрыли вручную. Открыть его может тот, кто ведёт хранилище; до этого люди показаны псевдонимами.
names-locked-workstation = Имена здесь хранят рабочие места: у этого сервера нет ключа к ним. Откройте их на рабочем месте, где ключ есть.
names-locked-key = Ключ хранилища не подходит. Сообщите администратору; двери и псевдонимы продолжают работать.
names-to-vault = К хранилищу
error-locked-title = Имена закрыты
error-locked-text = Хранилище личностей закрыто, поэтому сейчас этого нельзя показать или изменить. Двери и псевдонимы работают. Ничего не изменено.

# Цели
purpose = Для чего
purpose-choose = Выберите, для чего
purpose-missing = Выберите, для чего. Цель записывается вместе с просмотром, чтобы человеку можно было ответить.
purpose-checkpoint = Решить, кого пропустить
purpose-pass_issue = Выдать или изменить пропуск
purpose-treatment = Лечить
purpose-booking = Записать на приём или изменить запись
purpose-payment = Принять или вернуть оплату
purpose-person_request = Ответить на запрос самого человека
purpose-incident = Разобраться в происшествии
purpose-maintenance = Поддерживать данные верными
purpose-emergency = Спасти жизнь или здоровье

# Поиск
people-title = Люди
people-words = Имя, телефон, документ или номер
people-words-help = Начала имён в любом порядке: «ива оле». Телефон или номер документа целиком. Псевдоним из журнала.
people-words-short = Введите хотя бы две буквы имени или номер целиком.
people-words-many = Подходит слишком много людей. Добавьте букв или ещё одно имя.
people-start-title = Кого вы ищете?
people-start-text = Введите начало имени и выберите, для чего. Кто, кого и для чего искал, записывается.
people-none-title = Никто не найден
people-none-text = Проверьте написание или введите меньше букв. Кто ещё не зарегистрирован, того здесь нет.
people-found = { $n ->
    [0] Никто не найден
    [one] Найден { $n } человек
    [few] Найдено { $n } человека
   *[other] Найдено { $n } человек
}
people-first = { $n ->
    [one] Показан первый { $n }, есть ещё
   *[other] Показаны первые { $n }, есть ещё
}
people-more = Показать ещё
people-more-text = Больше букв найдут быстрее.
born = дата рождения { $a }

# Человек
person-title = Человек
person-add = Зарегистрировать человека
person-known = Что известно
person-unknown = Об этом человеке пока известен только псевдоним.
person-fill = Заполнить
person-edit = Исправить
person-erase = Стереть…
person-restricted = ограничено
person-restricted-text = Обработка данных этого человека ограничена. Используйте их только для того, на что он согласился, или чего требует закон.
known-since = известен с { $a }
nothing-known = ничего не известно
document-passport = Паспорт
document-id_card = Удостоверение личности
document-birth_certificate = Свидетельство о рождении
document-driving_licence = Водительское удостоверение
document-insurance = Страховой полис
document-personal_number = Личный номер
document-other = Другой документ
contact-phone = Телефон
contact-email = Почта
contact-address = Адрес
reveal = Показать
reveal-all = Показать всё
reveal-field = Показать: { $a }
reveal-recorded = При показе записываются ваша учётная запись, время, поле и цель. Человек может спросить, кто смотрел.
person-history = Что было известно до исправлений
person-history-title = До исправлений
person-history-none = Пока ничего не исправляли.
until-then = до { $a }
person-done-registered = Человек зарегистрирован. Теперь можно добавить фото и пропуск.
person-done-saved = Сохранено. Прежнее осталось среди исправлений.
person-done-photo = Фото сохранено.
person-done-photo_removed = Фото удалено.
person-done-pass = Пропуск изменён. Подключённые считыватели узнают об этом за секунду.
person-done-pass_changed = Ничего не сделано: этот пропуск тем временем изменил кто-то другой. Посмотрите ещё раз.
person-events = Недавно
person-events-none = В журнале нет событий этого человека.
person-events-all = Всё это в журнале
person-looks = Кто смотрел
person-looks-text = Каждый просмотр данных этого человека есть в журнале аудита. Открытие списка тоже записывается.
person-looks-show = Показать, кто смотрел
person-looks-none = Пока никто не смотрел.
look-person_searched = искал
look-person_seen = видел
look-person_revealed = открывал
look-person_changed = изменил
look-person_erased = стёр
look-person_restricted = изменил ограничение
look-photo_changed = изменил фото
look-pass_changed = изменил пропуск
look-exported = выгрузил
look-disclosed = передал
look-imported = загрузил
look-door_ordered = открывал дверь
look-request_handled = ответил на запрос
look-refused = получил отказ
look-glass = экстренный доступ
actor-account = Учётная запись
actor-api_key = Другая система
actor-staff = За рабочим местом
actor-peer = Подключённая система
actor-console = Командная строка сервера
actor-system = Сама программа
actor-anybody = Никто не вошёл

# Пропуска
passes = Пропуска
passes-none = Пропуска пока нет.
pass-none = нет пропуска
pass-over = закончился
pass-early = ещё не действует
pass-state-active = действует
pass-state-blocked = заблокирован
pass-state-lost = потерян
pass-state-withdrawn = изъят
pass-do-active = Вернуть в действие
pass-do-blocked = Заблокировать
pass-do-lost = Отметить потерянным
pass-do-withdrawn = Изъять
pass-change = Изменить
pass-why = Почему (останется в записи; без имён)
valid-always = бессрочно
valid-from = действует с { $a }
valid-until = действует до { $a }
valid-ended = закончился { $a }

# Регистрация и исправление
edit-new-title = Регистрация человека
edit-title = Исправить известное
edit-back = Назад к человеку
edit-register = Зарегистрировать
edit-save = Сохранить
edit-kept = Прежнее остаётся среди исправлений, зашифрованным.
edit-kind = Вид
edit-number = Номер
edit-issued = Кем и когда выдан
edit-way = Способ
edit-value = Номер или адрес
edit-rows-help = Пустая строка пропускается. Чтобы удалить строку, очистите её. Новая появится после сохранения.
edit-reference-help = Табельный номер или номер карты. От 1 до 64 знаков; каждый принадлежит одному человеку.
name-family = Фамилия
name-given = Имя
name-middle = Отчество
edit-problems = { $n ->
    [one] Проверьте { $n } поле. Ничего не сохранено.
    [few] Проверьте { $n } поля. Ничего не сохранено.
   *[other] Проверьте { $n } полей. Ничего не сохранено.
}
edit-no-name = Нужна фамилия или имя.
edit-long-name = В имени не больше 100 знаков.
edit-long-text = Не больше 300 знаков.
edit-empty-text = Нет номера. Впишите его или очистите всю строку.
edit-control = Здесь есть невидимые знаки. Наберите вручную.
edit-born-later = Этот день ещё не наступил.
edit-bad-date = Такого дня нет в календаре. Напишите как 1987-04-21.
edit-bad-mail = Это не адрес почты. Он выглядит как name@example.org.
edit-bad-phone = Это не номер телефона. Подойдут цифры, пробелы, + и -.
edit-bad-reference = От 1 до 64 знаков в одной строке.
edit-reference-taken = Этот номер уже у другого человека. Найдите его, прежде чем регистрировать дважды.
edit-many-documents = Не больше 8 документов.
edit-many-contacts = Не больше 16 строк связи.
check-missing = Это нужно заполнить.
check-wrong = Это непонятно. Проверьте ещё раз.

# Фото
photo-title = Фото
photo-preview = Как это будет выглядеть
photo-add = Добавить фото
photo-change = Заменить фото
photo-file = Снимок из файла
photo-help = JPEG или PNG, не больше 5 МБ и 4096 точек. Снимок обрезается до 3:4 вокруг середины и хранится зашифрованным, без того, что записала в файл камера.
photo-consent = Человек согласен, чтобы фото хранилось
photo-consent-text = Спросите. Пропуск работает и без фото, и человек может передумать в любое время.
photo-consent-given = Согласие дано { $a }.
photo-consent-refused = Человек не захотел фото ({ $a }). Его пропуск работает без него.
photo-consent-not-asked = Этого человека ещё не спрашивали о фото.
photo-store = Сохранить фото
photo-remove = Удалить фото
photo-remove-text = Человек может отказаться от фото или забрать его. Тогда снимок уничтожается, а пропуск продолжает работать.
photo-refused = Человек не хочет фото
photo-none-chosen = Выберите снимок или сделайте его камерой.
photo-no-consent = Ничего не сохранено: без согласия человека фото не бывает.
photo-no-passport = Сначала впишите имя человека.
picture-too-large = Снимок больше 5 МБ. Ничего не сохранено; возьмите поменьше.
picture-too-wide = Снимок шире или выше 4096 точек. Ничего не сохранено; возьмите поменьше.
picture-too-small = Снимок меньше 60 на 80 точек. Ничего не сохранено: на нём никого не узнать.
picture-format = Это не снимок JPEG или PNG. Ничего не сохранено.
picture-damaged = Снимок повреждён. Ничего не сохранено; возьмите другой.
camera-start = Включить камеру
camera-take = Снять
camera-again = Переснять
camera-denied = Браузер не разрешает камеру. Разрешите её для этого адреса или выберите файл.
camera-none = Камера не найдена. Выберите файл.
key-space = Пробел

# Кто внутри
inside-title = Кто внутри
inside-at = на { $a }
inside-zone = Зона
inside-since = С какого времени
inside-names-text = Просмотр всех из этого списка записан один раз, вместе с вашей учётной записью.
inside-empty-title = Внутри никого нет
inside-empty-text = Кто прошёл внутрь, появляется здесь по зонам, пока не выйдет.
inside-cut = Список неполный: в нём не все из большой зоны. Выберите одну зону или возьмите файл.
muster-seen = На месте
print = Печать
fact-name = Имя
known-name = Имя
known-birth_date = Дата рождения
known-document = Документы
known-contact = Связь
known-reference = Номер в других системах
names-locked-list = Список стёртых людей повреждён. Пока его не исправят, имена не показываются, чтобы никто стёртый не вернулся. Сообщите администратору.

# The language that a person is spoken to in.
person-language = Язык общения
language-set = { $a }, указан здесь
language-told = { $language }, сообщает { $by }
language-listed = { $a }, из загруженного списка
edit-language = Язык
edit-language-unknown = неизвестен: язык площадки
edit-language-help = На нём показываются отказы кассы и бумаги, если программа его знает. Выбранное здесь важнее того, что сообщают другие системы.
