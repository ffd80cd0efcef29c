# Страницы и то, что у них общее.

skip = К странице
places = Разделы
place-live = Сейчас
place-devices = Двери и считыватели
place-journal = Журнал
place-accounts = Учётные записи
place-roles = Роли
find = Найти в журнале
language = Язык
theme = Вид
theme-system = Как в системе
theme-light = Светлый
theme-dark = Тёмный
to-start = На начальную страницу
state = Состояние
actions = Действия
export = Выгрузить CSV
filter = Отобрать
filter-clear = Сбросить
any = любой
seen = На связи
version = Версия
close = Закрыть
key = Ключ

span-s = { $n } с
span-min = { $n } мин
span-h = { $n } ч
span-d = { $n } д
ago = { $a } назад
ago-s = { $a } с назад
ago-min = { $a } мин назад
ago-h = { $a } ч назад
for-span = уже { $a }
ms = { $a } мс
weekday-0 = пн
weekday-1 = вт
weekday-2 = ср
weekday-3 = чт
weekday-4 = пт
weekday-5 = сб
weekday-6 = вс
month-1 = января
month-2 = февраля
month-3 = марта
month-4 = апреля
month-5 = мая
month-6 = июня
month-7 = июля
month-8 = августа
month-9 = сентября
month-10 = октября
month-11 = ноября
month-12 = декабря
people-count = { $n ->
    [one] { $n } человек
    [few] { $n } человека
   *[many] { $n } человек
}

# Ошибки
error-400-title = Не удалось понять
error-400-text = В адресе или форме есть то, что нельзя прочитать. Вернитесь и попробуйте снова.
error-401-title = Сначала войдите
error-401-text = Сеанс завершён. Войдите снова.
error-403-title = Не для этой учётной записи
error-403-text = Ваша роль не открывает эту страницу. Если она нужна, обратитесь к администратору.
error-404-title = Здесь ничего нет
error-404-text = Такой страницы нет, или того, что на ней было, больше нет.
error-405-title = Здесь так нельзя
error-405-text = Страница есть, но не для этого действия. Вернитесь и пользуйтесь её кнопками.
error-413-title = Слишком длинно
error-413-text = Отправлено больше, чем в любой здешней форме. Сократите и попробуйте снова.
error-500-title = Что-то сломалось у нас
error-500-text = Это записано. Попробуйте снова; если повторится, назовите администратору время.
error-503-title = Сейчас недоступно
error-503-text = База данных не отвечает. Двери работают сами. Попробуйте через минуту.
error-form-title = Форма устарела
error-form-text = Её открыли до входа или с другого сайта. Ничего не изменено. Откройте страницу заново и повторите.

# Сейчас
live-title = Пост охраны
all-points = Все точки
choose-points = Точки этого поста
show-these = Показать эти
show-all = Показать все
points-count = { $n ->
    [one] { $n } точка
    [few] { $n } точки
   *[many] { $n } точек
}
last-attempt = Последняя попытка
passing-now = Проходят сейчас
this-post = Этот пост
col-time = Время
col-who = Кто
col-where = Где
col-result = Итог
live-empty-title = Ещё никто не проходил
live-empty-text = Следующая карта на любом считывателе этого поста появится здесь сама.
post-empty = Точек пока нет. Они появятся, когда шлюз пришлёт сведения.
hour-passed = { $n ->
    [one] { $n } проход за час
    [few] { $n } прохода за час
   *[many] { $n } проходов за час
}
hour-refused = { $n ->
    [one] { $n } отказ
    [few] { $n } отказа
   *[many] { $n } отказов
}
inside-now = Сейчас внутри
by-zone = По зонам
category-none = Без действующего пропуска
point-working = работает
point-unknown = сведений пока нет
point-gateway-gone = нет вестей { $a }
point-reader-silent = считыватель молчит { $a }
point-tamper = корпус считывателя открыт
point-untrusted = считывателю нет доверия
point-insecure = линия не защищена
link-wait = подключение
link-live = на связи · последнее { $a }
link-quiet = на связи · пока ничего
link-lost = Связь потеряна, показано на { $a }
sound-on = Звук включён
sound-off = Звук выключен
no-script = Страница обновляется сама только с JavaScript. Перезагрузите её, чтобы увидеть новое.
pass-patient_temporary = Пациент, временный
pass-patient = Пациент
pass-staff = Сотрудник
pass-visitor = Посетитель
pass-contractor = Подрядчик
pass-vehicle = Транспорт

# Двери и считыватели
devices-title = Двери и считыватели
readers-count = { $n ->
    [one] { $n } считыватель
    [few] { $n } считывателя
   *[many] { $n } считывателей
}
troubled-count = { $n ->
    [one] { $n } требует внимания
   *[many] { $n } требуют внимания
}
shown-count = { $n ->
    [one] показан { $n } считыватель
    [few] показано { $n } считывателя
   *[many] показано { $n } считывателей
}
devices-empty-title = Оборудование ещё не отзывалось
devices-empty-text = Запустите шлюз хотя бы с одной линией в настройках. Его считыватели появятся здесь за секунды.
doors = Двери
reader = Считыватель
reply = Время ответа
polls = Опросы
faults = Сбои с запуска
faults-none = нет
faults-retries = повторы
faults-timeouts = нет ответа
faults-crc = неверная сумма
faults-alarms = тревоги
poll-every = каждые { $a }
filter-readers = Имя, место, модель, состояние
only-trouble = Только требующие внимания
none-found-title = Ничего не найдено
none-found-text = Под отбор ничего не подходит. Расширьте его или сбросьте.
policy = Правила доступа
confirmed-ago = подтверждены { $a } назад
policy-old = правила устарели
journal = Журнал
waiting-count = { $n ->
    [0] всё доставлено
    [one] ждёт { $n } запись
    [few] ждут { $n } записи
   *[many] ждут { $n } записей
}
running-for = Работает
gateway-gone = нет связи
gateway-connected = на связи
polls-a-second = { $n ->
    [one] { $n } опрос в секунду
    [few] { $n } опроса в секунду
   *[many] { $n } опросов в секунду
}
line-closed = закрыта
not-known-now = сейчас неизвестно
reader-silent-for = молчит { $a }
reader-untrusted = нет доверия
reader-unknown = ещё не слышно
reader-tamper = корпус открыт
reader-online = отвечает
key-secure = защищена
key-accepted = принята без ключа
key-none = не защищена
no-point = без точки
address-n = адрес { $n }
door-locked = закрыта
door-released = отперта
door-open = открыта
door-held = долго открыта
door-forced = открыта силой
door-blocked = заперта командой
door-free = свободный проход
door-emergency = аварийное открытие
door-unreachable = нет связи
readers = Считыватели
peer = Контроллер или система
peers = Контроллеры и системы
peers-count = { $n ->
    [one] { $n } контроллер или система
    [few] { $n } контроллера или системы
   *[many] { $n } контроллеров и систем
}
shown-peers-count = { $n ->
    [one] показан { $n } контроллер или система
    [few] показано { $n } контроллера или системы
   *[many] показано { $n } контроллеров и систем
}
peers-away = { $n ->
    [one] { $n } без связи
   *[many] { $n } без связи
}
peer-kind-acs_link = контроллер acs-link
peer-kind-hikvision = Hikvision
peer-kind-parsec = ParsecNET 3
peer-away = нет связи
peer-connected = на связи
connection = Соединение
peer-secure = защищено
peer-plain = без шифрования
peer-secure-unknown = сейчас нет
peer-waiting = Ожидает
peer-waiting-none = ничего
peer-events-held = { $n ->
    [one] { $n } событие хранится там
    [few] { $n } события хранятся там
   *[many] { $n } событий хранится там
}
peer-commands-waiting = { $n ->
    [one] { $n } команда не подтверждена
    [few] { $n } команды не подтверждены
   *[many] { $n } команд не подтверждено
}
peer-quarantined = { $n ->
    [one] { $n } сообщение отложено
    [few] { $n } сообщения отложено
   *[many] { $n } сообщений отложено
}
peer-passes = Пропуска там
peer-passes-none = нет
peer-passes-all = { $a }
peer-passes-some = пока { $a }
peer-clock = Его часы
peer-clock-good = верны
peer-clock-unknown = не знаем
peer-clock-behind = отстают на { $a }
peer-clock-ahead = спешат на { $a }

# Распоряжения для двери
cancel = Отмена
door-journal = Что здесь было
orders-last = Последние распоряжения
order-open = Открыть один раз
order-lock = Запереть
order-normal = Обычный режим
order-free_passage = Свободный проход
order-emergency = Аварийное открытие
order-text-open = { $a }: откроется один раз на обычное время для того, кто там стоит. Это записывается с вашим именем.
order-text-lock = { $a }: никого не впустит, с любой картой, пока не вернут обычный режим. Те, кто внутри, могут выйти.
order-text-normal = { $a }: снова решает по картам и правилам.
order-text-free_passage = { $a }: пропускает всех в обе стороны без карты, пока не вернут обычный режим.
order-text-emergency = { $a }: путь наружу откроется и останется открытым, пока не вернут обычный режим.
order-button-open = Открыть сейчас
order-button-lock = Запереть сейчас
order-button-normal = Вернуть обычный режим
order-button-free_passage = Пропускать всех
order-button-emergency = Открыть путь наружу
order-reason = Почему
order-reason-choose = Выберите причину
order-reason-missing = Выберите причину. Она хранится вместе с распоряжением.
order-reason-delivery = Доставка
order-reason-forgotten_card = Карта забыта, проверен документ
order-reason-help = Человеку нужна помощь
order-reason-repair = Ремонт или уборка
order-reason-drill = Учения или проверка
order-reason-other = Другая причина
order-note = Своими словами
order-note-help = Обязательно для другой причины. Без имён: запись остаётся в журнале.
order-note-missing = Напишите в нескольких словах почему.
order-unheard = Шлюз этой двери не на связи. Сейчас распоряжение не дойдёт, а позже исполняться не будет.
given-pending = в пути
given-pending-text = Распоряжение в пути. Страница спросит снова сама.
given-done = исполнено
given-done-text = Шлюз исполнил распоряжение.
given-refused = не исполнено
given-refused-text = Распоряжение не исполнено.
given-expired = нет ответа вовремя
given-expired-text = Нет ответа вовремя. Позже оно не исполнится; взгляните на дверь, прежде чем повторять.
late-by = на { $a } раньше
late-unknown = раньше, неизвестно когда

# Журнал
journal-title = Журнал
times-in = время: { $a }
from = С
until = По
point = Точка
what = Что
why = Почему
text = Точка, считыватель или псевдоним
text-hint = turnstile или 32 цифры
search = Найти
newest = Новейшие
older = Раньше
no-older = Раньше ничего нет
entry = Запись
journal-empty-title = Ещё ничего не записано
journal-empty-text = Здесь хранится каждое прикладывание карты, проход и тревога каждого шлюза.
journal-bad-time = Время не понято. Выберите в календаре поля или напишите 2026-11-24T09:00.
journal-bad-point = Имя точки не понято. Выберите из списка.
journal-bad-kind = Такой вид события неизвестен. Выберите из списка.
journal-bad-reason = Такая причина неизвестна. Выберите из списка.
journal-bad-card = В псевдониме карты 32 шестнадцатеричные цифры.
fact-at = Когда
fact-place = Точка
fact-direction = Направление
fact-reader = Считыватель
fact-person = Человек
fact-card = Карта
fact-pass = Пропуск сейчас
fact-age = Раньше на
fact-happened = Произошло
fact-ordered-by = Распорядился
fact-detail = Подробности
fact-arrived = Получено здесь
fact-gateway = Шлюз
fact-number = Номер и журнал
privacy-note = Люди и карты здесь под псевдонимами. Имена хранятся отдельно и видны только тем, кому можно.
