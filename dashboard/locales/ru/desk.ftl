# Рабочие места: страница врача, настройка, сотрудники за рабочими местами.
place-desk = Рабочее место
place-desk-day = Мой день
place-desk-without = Без карты
place-workstations = Рабочие места
place-staff = Кто работает
desk-title = Рабочее место
error-desk-title = За этим рабочим местом никто не вошёл
error-desk-text = Приложите карту к считывателю этого рабочего места и повторите. Ничего не сделано.
desk-link-wait = соединение
desk-link-live = на связи
desk-link-lost = Связь потеряна, показано на {"#"}
desk-idle = Рабочее место заблокируется через {"#"}
desk-idle-todo = Чтобы продолжить, двиньте мышью или нажмите клавишу.
desk-tap-title = Приложите карту
desk-tap-text = Поднесите карту к считывателю этого рабочего места. Страница войдёт сама.
desk-locked-title = Заблокировано: { $a }
desk-locked-text = Чтобы продолжить, приложите ту же карту. Карта другого специалиста сначала завершит этот сеанс.
desk-locked-visit = идёт приём, начат в { $a }
desk-pin-title = { $a }, введите ПИН
desk-pin-text = Один раз за смену. Потом до времени, показанного вверху, хватает карты.
desk-pin = ПИН
desk-pin-go = Войти
desk-pin-set = Сменить мой ПИН
desk-pin-set-title = Сменить мой ПИН
desk-pin-set-text = От 4 до 8 цифр. Не одна повторённая цифра и не цифры подряд. Хранится только хеш; прочитать ПИН не может никто.
desk-pin-new = Новый ПИН
desk-pin-again = Тот же ПИН ещё раз
desk-pin-save = Задать ПИН
desk-pin-differs = ПИН не совпадает. Введите один и тот же дважды.
desk-pin-bad = В ПИН от 4 до 8 цифр.
desk-pin-weak = Такой ПИН угадывают первым: повторённая цифра или цифры подряд. Выберите другой.
desk-pin-wrong = { $n ->
    [one] Неверный ПИН. Осталась { $n } попытка.
    [few] Неверный ПИН. Осталось { $n } попытки.
   *[many] Неверный ПИН. Осталось { $n } попыток.
}
desk-pin-blocked = Слишком много неверных ПИН. Повторите через { $a } или попросите того, кто настраивает рабочие места, сбросить его.
desk-pin-desk-blocked = Слишком много неверных ПИН за этим рабочим местом. Повторите через { $a }.
desk-pin-none = ПИН для вас ещё не задан. Первый задаёт тот, кто настраивает рабочие места; потом снова приложите карту.
desk-pin-busy = Сейчас проверяется много ПИН. Повторите через несколько секунд.
desk-not-staff-title = Вас нет среди тех, кто работает за рабочими местами
desk-not-staff-text = Карта прочитана, но ваша работа здесь закончена или учётная запись закрыта. Обратитесь к тому, кто настраивает рабочие места.
desk-factor-until = только карта до { $a }
desk-factor-left = ({"#"})
desk-factor-over = ПИН при следующем касании
desk-menu = Ваш сеанс
desk-lock = Заблокировать
desk-end = Завершить сеанс
desk-ready-title = Можно принимать следующего пациента
desk-ready-text = Пациент прикладывает карту к считывателю: в этот момент начинается приём и открывается карта пациента.
desk-by-card = по карте
desk-out-of-card = без карты
desk-sync-ok = карта пациента открыта в МИС
desk-sync-lost = рассинхронизация: { $a } показывает другого пациента
desk-sync-any = программа
desk-years = { $n ->
    [one] { $n } год
    [few] { $n } года
   *[many] { $n } лет
}
desk-record = номер карты { $a }
desk-appointment = запись на { $a }
desk-no-appointment = без записи
desk-visit-no = приём { $a }
desk-began = приём начат в { $a } касанием карты
desk-began-without = приём начат в { $a } без карты
desk-planned = по плану { $n } мин
desk-visit-end = Завершить приём
desk-without = Без карты…
desk-confirmations-title = Система просит вашего подтверждения
desk-confirmations-text = Она скажет, чего именно; подтверждает ваша карта.
desk-confirmations-go = Посмотреть
desk-launch = Открыть { $a }
desk-cancel = Это был не приём…
desk-cancel-text = Приём отменяется, как будто его не было; запись снова открыта. Причина попадёт в журнал аудита.
desk-cancel-services = В этом визите зарегистрированы услуги. Сначала отмените их, потом визит.
desk-cancel-go = Отменить приём
desk-reason-words = Причина, не менее 10 символов
desk-ask-choose = Какая запись?
desk-ask-none = Без записи
desk-ask-reason = Почему здесь и сейчас? Не менее 10 символов
desk-ask-nothing = Не приём
desk-ask-start = Начать приём
desk-ask-link = Выбрать эту запись
desk-ask-several_appointments = Какая это запись?
desk-ask-text-several_appointments = Подходит больше одной. Приём начнётся временем касания, когда вы выберете.
desk-ask-no_appointment = Подходящей записи нет
desk-ask-text-no_appointment = Приём идёт в любом случае. Выберите запись на сегодня, если он относится к ней.
desk-ask-wrong_room = Этого пациента ждут в другом кабинете
desk-ask-text-wrong_room = Начните приём здесь, только если это верно, и укажите почему. Это записывается.
desk-ask-wrong_specialist = Этого пациента ждёт другой специалист
desk-ask-text-wrong_specialist = Начните приём, только если это верно, и укажите почему. Это записывается.
desk-ask-seen_already = Этого пациента вы в этом сеансе уже принимали
desk-ask-text-seen_already = Начать ещё один приём или карту просто приложили ещё раз?
desk-ask-note-other = другой специалист
desk-ask-note-room = { $a }
desk-next = Далее
desk-next-count = { $n ->
    [one] { $n } сегодня
    [few] { $n } сегодня
   *[many] { $n } сегодня
}
desk-next-more = { $n ->
    [one] Ещё { $n } сегодня
    [few] Ещё { $n } сегодня
   *[many] Ещё { $n } сегодня
}
desk-next-none = Записей на сегодня больше нет.
desk-next-inside = в здании с { $a }
desk-next-away = не пришёл
desk-next-waiting = ждёт { $a }
desk-next-booked = записан
desk-next-here = в здании
desk-next-late = опаздывает на { $a }
desk-unexplained = { $n ->
    [one] { $n } действие без карты ждёт проверки
    [few] { $n } действия без карты ждут проверки
   *[many] { $n } действий без карты ждут проверки
}
desk-said-confirmed = Вы вошли.
desk-said-opened = Вход выполнен.
desk-said-ended = Сеанс завершён: { $a }
desk-said-shown = Приём продолжается; карта пациента показана снова.
desk-said-started = Приём начат.
desk-said-visit-ended = Приём завершён.
desk-said-cancelled = Приём отменён.
desk-said-answered = Готово.
desk-said-pin = Ваш ПИН изменён.
desk-refused = Ничего не сделано. { $a }
desk-refused-unknown_card = Карта не зарегистрирована. Направьте владельца в бюро пропусков.
desk-refused-unreadable_card = Карта прочитана плохо. Приложите её ещё раз.
desk-refused-blocked = Пропуск заблокирован. Направьте владельца в бюро пропусков.
desk-refused-lost = Карта заявлена утерянной. Оставьте её у себя и позовите охрану.
desk-refused-withdrawn = Пропуск изъят. Направьте владельца в бюро пропусков.
desk-refused-not_yet_valid = Пропуск ещё не действует. Направьте владельца в бюро пропусков.
desk-refused-expired = Пропуск истёк. Направьте владельца в бюро пропусков.
desk-refused-not_staff = Этот сотрудник не работает за рабочими местами. Добавить его может тот, кто их настраивает.
desk-refused-staff_left = Владелец здесь больше не работает.
desk-refused-no_specialist = Карта пациента, но специалист здесь не вошёл. Сначала приложите свою карту.
desk-refused-desk_locked = Карта пациента, но рабочее место заблокировано или ждёт ПИН. Сначала приложите свою карту.
desk-refused-late_tap = Карта прочитана, когда связи не было. Приложите её ещё раз.
desk-refused-stale_tap = Касание пришло слишком поздно. Приложите карту ещё раз.
desk-refused-clock_ahead = Часы считывателя спешат. Сообщите технику и повторите.
desk-refused-out_of_order = Это касание старше уже известного. Приложите карту ещё раз.
desk-refused-refused_at_reader = Считыватель отказал карте.
desk-refused-pin_wrong = ПИН, введённый на считывателе, неверен.
desk-refused-pin_locked = Слишком много неверных ПИН. Обратитесь к тому, кто настраивает рабочие места.
desk-refused-our_fault = Сбой у нас. Приложите карту ещё раз; если повторится, скажите администратору.
desk-refused-not_a_patient = Это не карта пациента.
desk-refused-overtaken = Пациента тем временем приняли в другом месте. Приложите карту ещё раз.
desk-ended-by_hand = специалистом
desk-ended-retap = повторным касанием
desk-ended-another_specialist = здесь приложил карту другой специалист
desk-ended-elsewhere = вы вошли на другом рабочем месте
desk-ended-idle = слишком долго ничего не делалось
desk-ended-factor_missing = ПИН не введён
desk-ended-card_not_valid = карта больше не действует
desk-ended-staff_left = больше здесь не работает
desk-ended-by_manager = тем, кто управляет рабочими местами
desk-serial-title = Считыватель у этого компьютера
desk-serial-ask = Считыватель в порту USB этого компьютера работает без установки программ. Выберите его один раз, браузер запомнит.
desk-serial-on = Считыватель подключён. Карты, приложенные к нему, считаются касаниями здесь.
desk-serial-off = Считыватель отключён или занят другой программой. Подключите его снова: он найдётся сам.
desk-serial-busy = Открыть считыватель не удалось. Закройте программу, которая его занимает, и выберите его снова.
desk-serial-choose = Выбрать считыватель
desk-not-here-title = Этот браузер не рабочее место
desk-not-here-text = Страница врача открывается на компьютерах, настроенных как рабочие места. Одноразовый код для этого компьютера даёт тот, кто их настраивает.
desk-not-here-manager = Вы настраиваете рабочие места? Войдите на этом компьютере и подключите его здесь:
desk-code = Одноразовый код
desk-code-help = Двенадцать знаков, действует 30 минут и один раз.
desk-code-go = Сделать браузер рабочим местом
desk-code-bad = Код не подходит: он использован, устарел или введён с ошибкой. Попросите другой.

# Без карты
without-title = Без карты
without-step-who = Кто это?
without-step-why = Почему без карты?
without-text-start = Приём без карты начинаете вы, для одного пациента и на ограниченное время. Это записывается и проверяется.
without-search = Имя, номер карты или телефон пациента
without-search-go = Найти
without-search-none = Никто не найден. Проверьте написание или введите номер карты.
without-search-short = Введите не менее трёх символов.
without-today = Ваши записи на сегодня
without-chosen = Пациент
without-choose = Выбрать
without-other = Другой пациент
without-what = Что делается?
without-what-start = Начать приём
without-what-work = Работа с картой пациента без приёма
without-code = Причина
without-words = Словами, не менее 10 символов
without-go = Начать без карты
without-go-work = Работать без карты
without-go-end = Завершить без карты
without-fresh = Приложите карту или снова введите ПИН: это должно быть сделано в последние пять минут.
without-locked = Хранилище закрыто: искать пациентов по имени сейчас нельзя.
without-ends = само закончится в { $a }
without-problem-reason = Укажите причину, не менее 10 символов.
without-problem-code = Выберите причину.
without-problem-patient = Сначала выберите пациента.
without-problem-running = Здесь или с этим пациентом идёт другой приём. Сначала завершите его.
out-of-card-card_forgotten = Карта забыта
out-of-card-card_lost = Карта утеряна или ещё не выдана
out-of-card-reader_broken = Считыватель не работает
out-of-card-emergency = Неотложный случай
out-of-card-home_call = Вызов на дом
out-of-card-telephone = Приём по телефону или видео
out-of-card-other = Другое, словами

# Мой день
day-title = Мой день
day-visits = Приёмы
day-appointments = Записи
day-minutes = Минут с пациентами
day-mean = Минут на приём
day-without = Сделано без карты
day-none = Приёмов сегодня ещё не было.
day-appointments-none = На сегодня записей нет.
day-running = идёт
day-col-patient = Пациент
day-col-from = С
day-col-until = До
day-col-minutes = Минуты
day-col-room = Кабинет
day-col-began = Начат
day-col-state = Состояние
day-col-when = Когда
day-col-reason = Причина
appointment-state-pending = запрошена
appointment-state-booked = записан
appointment-state-arrived = пришёл
appointment-state-fulfilled = состоялась
appointment-state-cancelled = отменена
appointment-state-no_show = не пришёл

# Настройка
workstations-title = Рабочие места
workstations-count = { $n ->
    [one] { $n } рабочее место
    [few] { $n } рабочих места
   *[many] { $n } рабочих мест
}
workstations-text = Рабочее место — это точка доступа вида «workstation» в конфигурации со считывателем и один браузер, который там стоит.
workstations-none-title = Рабочих мест нет
workstations-none-text = Добавьте в конфигурацию точку доступа вида «workstation»; она появится здесь сама.
workstations-search = Кабинет, название или точка
workstations-col-name = Рабочее место
workstations-col-room = Кабинет
workstations-col-reader = Считыватель
workstations-col-who = Вошёл
workstations-col-browser = Браузер
workstations-nobody = никто
workstations-since = с { $a }
workstations-enrolled = настроен { $a }
workstations-not-enrolled = не настроен
workstations-code-open = код действует до { $a }
workstations-state-open = открыто
workstations-state-locked = заблокировано
workstations-state-waiting = ждёт ПИН
workstations-enrol-here = Сделать этот браузер его браузером
workstations-enrol-here-help = Браузер, в котором вы сейчас работаете, станет браузером этого рабочего места. Прежний перестанет им быть.
workstations-code = Одноразовый код для другого браузера
workstations-code-help = Откройте /desk в браузере, который там стоит, и введите код в течение 30 минут.
workstations-code-shown = Код для «{ $a }»: введите его на странице /desk в браузере, который там стоит. Действует один раз, 30 минут, и больше не показывается.
workstations-withdraw = Отозвать браузер
workstations-withdraw-help = Для заменённого или украденного компьютера. Следующий его запрос — запрос чужого.
workstations-rename = Название для людей
workstations-save = Сохранить
workstations-end-help = { $a } выйдет на этом рабочем месте. Идущий приём завершится.
workstations-end-go = Завершить сеанс
workstations-done-enrolled = Этот браузер теперь браузер рабочего места. Откройте /desk.
workstations-done-withdrawn = Браузер отозван.
workstations-done-renamed = Название изменено.
workstations-done-ended = Сеанс завершён.
workstations-reader-none = считыватель неизвестен
workstations-only-open = Занятые
workstations-only-missing = Не настроенные
workstations-show = Показать

# Сотрудники за рабочими местами
staff-title = Кто работает за рабочими местами
staff-count = { $n ->
    [one] { $n } человек
    [few] { $n } человека
   *[many] { $n } человек
}
staff-text = Кто может входить на рабочих местах картой, в какой роли и как их зовёт медицинская система. Список заполняют и данные медицинской системы.
staff-none-title = За рабочими местами ещё никто не работает
staff-none-text = Добавьте людей здесь или подключите список сотрудников медицинской системы.
staff-search = Имя, псевдоним, логин или специальность
staff-new = Добавить
staff-col-who = Человек
staff-col-role = Роль
staff-col-login = Логин в МИС
staff-col-practitioner = Врач в МИС
staff-col-specialty = Специальность
staff-col-account = Учётная запись страниц
staff-col-state = Состояние
staff-works = работает
staff-left = ушёл { $a }
staff-person = Человек, по псевдониму
staff-person-help = 32 знака: из адреса страницы человека.
staff-account-help = Со связанной учётной записью действуют её роли; без неё — выбранная здесь.
staff-save = Сохранить
staff-end = Закончить работу
staff-end-help = Открытые сеансы этого человека завершатся сразу.
staff-pin = Задать или сбросить ПИН
staff-pin-help = От 4 до 8 цифр. Владелец может сменить его на рабочем месте. Новый ПИН снимает блокировку.
staff-pin-go = Задать ПИН
staff-done-saved = Сохранено.
staff-done-ended = Этот человек больше не работает за рабочими местами.
staff-done-pin = ПИН задан.
staff-problem-unknown = Человека с таким псевдонимом нет. Сначала зарегистрируйте его.
staff-problem-taken = { $a }: уже есть у другого сотрудника.
staff-problem-text = { $a }: не более 128 байт, без управляющих символов.
staff-problem-account = Такой учётной записи нет.
staff-field-login = логин
staff-field-practitioner = врач в МИС
staff-field-account = учётная запись
staff-field-specialty = специальность
desk-said-without = Записано. Ждёт проверки.
workstations-bad-name = В названии от 1 до 80 символов.
workstations-reader-online = отвечает
workstations-reader-offline = молчит
workstations-reader-unknown = ещё не отвечал
workstations-reader-untrusted = не доверенный
