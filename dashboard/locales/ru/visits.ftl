# Приёмы, кабинеты, работа без карты, где кто находится.
place-visits = Приёмы
place-visits-graph = Кто с кем
place-visits-rooms = Кабинеты
place-irregular = Без карты
place-where = Где…
visits-title = Приёмы
visits-from = Начат с
visits-until = по
visits-room = Кабинет
visits-specialist = Специалист
visits-specialist-id = Специалист, по псевдониму
visits-patient = Пациент
visits-began = Начат
visits-ended = Завершён
visits-running = Только идущие
visits-no = №
visits-when = Когда
visits-first = Первая страница
visits-older = Более ранние
visits-none-title = Приёмов нет
visits-none-text = Подходящих приёмов нет. Они появляются здесь, как только пациенты прикладывают карты на рабочих местах.
visits-bad-zone = Кабинет пишется как в конфигурации, например room-214.
visits-bad-person = Псевдоним — это 32 знака 0–9 и a–f.
visits-bad-code = Такого выбора нет. Выберите из списка.
visits-day = День
visits-days = Период
visits-days-1 = Этот день
visits-days-7 = 7 дней до него
visits-days-31 = 31 день до него
visits-table = Таблица к рисунку
began-card = по карте
began-out_of_card = без карты
visit-end-by_hand = завершил специалист
visit-end-out_of_card = завершён без карты
visit-end-tap_out = пациент приложил карту
visit-end-next_patient = следующий пациент
visit-end-elsewhere = пациент приложил карту в другом месте
visit-end-session_ended = специалист ушёл
visit-end-run_out = закрыт правилом: слишком долго
visit-end-expired = время без карты вышло
visit-end-cancelled = отменён
graph-title = Кто с кем
graph-finding = { $few } из { $all } провели половину: { $visits }
graph-few = { $n ->
    [one] { $n } специалист
    [few] { $n } специалиста
   *[many] { $n } специалистов
}
graph-of-visits = { $n ->
    [one] { $n } приём
    [few] { $n } приёма
   *[many] { $n } приёмов
}
graph-visits = Приёмы
graph-specialists = Специалисты
graph-patients = Пациенты
graph-minutes = Минут вместе
graph-last = Последний раз
graph-drawn = { $n ->
    [one] Нарисована { $n } пара. В таблице больше.
    [few] Нарисованы { $n } пары: самые частые у самых занятых специалистов. В таблице больше.
   *[many] Нарисовано { $n } пар: самые частые у самых занятых специалистов. В таблице больше.
}
graph-more = { $n ->
    [one] Ещё { $n } пара в выгрузке.
    [few] Ещё { $n } пары в выгрузке.
   *[many] Ещё { $n } пар в выгрузке.
}
graph-none-title = За это время приёмов нет
graph-none-text = Выберите другой день или более длинный период.
rooms-title = Занятость кабинетов
rooms-finding = { $most }: занято { $high } рабочего времени, { $least }: { $low }
rooms-finding-one = { $most }: занято { $high } рабочего времени
rooms-text = Полоса — приём. Доля справа: время с пациентом от времени, когда там работал специалист. Наведите на полосу, чтобы увидеть, кто и когда.
rooms-used = занято
rooms-by-room = По кабинетам
rooms-occupied = Минут с пациентами
rooms-staffed = Минут работы
rooms-table = Каждый приём рисунка
rooms-cut = Показано не всё; в выгрузке есть всё.
rooms-none-title = В этот день кабинеты не использовались
rooms-none-text = Выберите другой день. Кабинеты появляются, когда в них идут приёмы.
irregular-title = Сделано без карты
irregular-text = Кто работает без карты пациента, говорит почему; потом это смотрит кто-то другой. Своё никто не проверяет.
irregular-waiting = { $n ->
    [one] { $n } ждёт проверки
    [few] { $n } ждут проверки
   *[many] { $n } ждут проверки
}
irregular-overdue = { $n ->
    [one] { $n } просрочено
    [few] { $n } просрочено
   *[many] { $n } просрочено
}
irregular-queue = Очередь
irregular-queue-waiting = Ждут
irregular-queue-overdue = Просрочены
irregular-queue-done = Проверены
irregular-queue-all = Все
irregular-what = Что
irregular-when = Когда
irregular-reason = Причина
irregular-source = Сообщила
irregular-visit = Приём
irregular-due = Проверить до
irregular-entry = Запись журнала аудита
irregular-reviewed = Проверено
irregular-none-title = Здесь пусто
irregular-none-text = Ничего сделанного без карты под этот отбор не подходит.
irregular-overdue-by = просрочено на { $a }
irregular-due-in = проверить за { $a }
irregular-words-gone = Слова вымараны.
irregular-verdict = Что выяснилось?
irregular-comment = Замечание проверки
irregular-comment-ask = Замечание, не менее 10 символов
irregular-go = Закончить проверку
irregular-no-verdict = Выберите, что выяснилось.
irregular-bad-comment = Напишите не менее 10 символов о том, что выяснилось.
irregular-own = Своё никто не проверяет. Попросите другого проверяющего.
irregular-already = Это уже проверено.
irregular-done-reviewed = Проверено.
irregular-finding = { $rate } из 100 приёмов за 31 день начаты без карты: { $without } из { $visits }
irregular-rates-none = За последние 31 день приёмов нет
irregular-col-without = Без карты (все случаи)
irregular-col-rate = На 100 приёмов
irregular-col-misuse = Злоупотребления
out-of-card-kind-start = Приём начат без карты
out-of-card-kind-work = Работа без приёма
out-of-card-kind-end = Приём завершён без карты
out-of-card-kind-service = Услуга оказана без карты
out-of-card-kind-sign_in = Вход в МИС без карты
verdict-regular = Всё в порядке
verdict-irregular = Не так, как надо
verdict-misuse = Злоупотребление
where-title = Где…
where-words = Имя, номер карты или псевдоним
where-purpose = Зачем
where-go = Спросить
where-text = Каждый вопрос записывается с вашим именем и целью.
where-which = Кто именно?
where-unknown = Человека с таким псевдонимом нет.
where-by-id = Ваша роль находит людей только по псевдониму: 32 знака.
where-nowhere = сегодня не замечен
where-outside = снаружи
where-since = с { $a }
where-now = сейчас
where-today = Путь за сегодня
where-none = За сегодня ничего не известно.
where-cut = Показано не всё.
where-visit-with = приём: { $a }
where-source-passage = прошёл через дверь
where-source-desk = вошёл на рабочем месте
where-source-visit = приём
where-sure-passage = Последняя пройденная дверь. Внутри зоны люди ходят невидимо.
where-sure-desk = Карта открыла там рабочее место.
where-sure-visit = Там идёт приём.
