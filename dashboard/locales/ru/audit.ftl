# Журнал аудита: страница аудитора и слова о том, что сделано, чем кончилось, кем и для чего.

place-audit = Журнал аудита
audit-title = Журнал аудита
audit-count = { $n ->
    [one] { $n } запись
    [few] { $n } записи
   *[other] { $n } записей
}
audit-state = Состояние журнала
audit-check = Проверка всего журнала
audit-check-now = Проверить
audit-checking = Проверяется
audit-check-asked = Журнал проверяется целиком. Откройте страницу ещё раз через минуту.
audit-check-never = Ещё не проверялся
audit-check-sound = Цел
audit-check-faults = { $n ->
    [one] { $n } нарушение
    [few] { $n } нарушения
   *[other] { $n } нарушений
}
audit-check-size = { $n ->
    [one] { $n } запись
    [few] { $n } записи
   *[other] { $n } записей
}
audit-head = Последний подписанный итог
audit-head-none = Пока нет: первый подписывается через несколько секунд после запуска.
audit-head-size = { $n ->
    [one] охватывает { $n } запись
    [few] охватывает { $n } записи
   *[other] охватывает { $n } записей
}
audit-head-at = , подписан { $a }
audit-places = Вторые места
audit-places-none = Нет
audit-places-none-text = Хозяин сервера мог бы переписать журнал незаметно. Попросите администратора указать место в [audit] heads.
audit-place-current = Всё передано
audit-place-away = Недоступно
audit-place-ahead = Знает больше
audit-place-strange = Не наше
audit-place-told = { $n ->
    [one] передано до записи { $n }
    [few] передано до записи { $n }
   *[other] передано до записи { $n }
}
audit-place-untold = Ещё ничего не передано
audit-outcome = Чем кончилось
audit-purpose = Для чего
audit-about = О чём
audit-no = №
audit-number = Номер
audit-who-hint = имя для входа
audit-subject-hint = псевдоним
audit-person = Человек
audit-person-page = Страница
audit-person-open = Открыть человека
audit-address = Откуда
audit-session = Сеанс
audit-object = О чём
audit-fields = Показанные поля
audit-glass = Разбитое стекло
audit-note-blotted = Написанное здесь вымарано. Кто и когда это сделал, сказано в отдельной записи.
audit-export-csv = Выгрузить CSV
audit-export-lines = Для проверки
audit-export-fhir = FHIR
audit-empty-title = Записей пока нет
audit-empty-text = Здесь будет каждый вход, отказ, просмотр личных данных и каждое изменение, начиная с первого.
audit-bad-who = Такого имени для входа нет. Напишите имя, как при входе, или console, system, anybody.
audit-bad-code = Одно из выбранных слов неизвестно. Выберите из списка.
audit-bad-subject = Псевдоним человека состоит из 32 шестнадцатеричных цифр.
audit-proof = Доказательство
audit-proof-signed = Доказано: запись стоит в журнале, итог которого подписан { $a }.
audit-proof-unsigned = Подписанного итога для этой записи ещё нет. Журналу, каков он сейчас, она соответствует; итог скоро подпишут.
audit-proof-broken = Запись не та, что была сделана. Сохраните копию базы и проверьте весь журнал.
audit-proof-download = Сохранить доказательство
audit-proof-help = Файл проверит каждый, у кого есть открытый ключ: tapward-audit proof, без этого сервера.
audit-proof-show = Показать хеши
audit-leaf = Хеш записи
audit-root = Корень
audit-privacy = Люди здесь под псевдонимами. То, что вы открыли эту запись, тоже записано.


outcome-done = сделано
outcome-refused = отказано
outcome-failed = не удалось

audit-purpose-checkpoint = пост
audit-purpose-pass_issue = бюро пропусков
audit-purpose-treatment = лечение
audit-purpose-booking = запись на приём
audit-purpose-payment = оплата
audit-purpose-person_request = запрос самого человека
audit-purpose-incident = происшествие
audit-purpose-maintenance = правка данных
audit-purpose-emergency = экстренный случай

action-signed_in = Вход
action-sign_in_failed = Неудачный вход
action-session_ended = Сеанс завершён
action-sessions_ended = Все сеансы завершены
action-first_run = Создан первый администратор
action-account_created = Создана учётная запись
action-account_disabled = Учётная запись закрыта
action-account_enabled = Учётная запись открыта снова
action-roles_changed = Изменены роли учётной записи
action-role_edited = Роль создана или изменена
action-link_made = Создана одноразовая ссылка
action-password_set = Пароль задан по ссылке
action-password_changed = Пароль сменён
action-factor_changed = Изменён второй фактор
action-preferences_changed = Изменены настройки пользователя
action-notice_tested = Отправлено пробное письмо
action-api_key_changed = Изменён ключ HTTP API
action-refused = Отказ
action-person_searched = Поиск людей
action-person_seen = Просмотр человека
action-person_revealed = Поля раскрыты
action-person_changed = Данные человека изменены
action-photo_changed = Фото изменено
action-person_erased = Данные человека стёрты
action-person_restricted = Обработка ограничена
action-pass_changed = Пропуск изменён
action-door_ordered = Команда двери
action-exported = Данные выгружены
action-disclosed = Данные переданы
action-imported = Импорт
action-vault_opened = Хранилище открыто или заперто
action-vault_key_changed = Ключ хранилища сменён
action-glass_broken = Стекло разбито
action-glass_reviewed = Разбор разбитого стекла
action-request_handled = Запрос человека
action-incident_handled = Происшествие
action-data_expired = Данные с истёкшим сроком удалены
action-settings_changed = Настройки изменены
action-audit_read = Чтение журнала аудита
action-note_blotted = Вымарана пометка
action-log_rolled_back = Обнаружен откат журнала
action-desk_opened = Привязка к рабочему месту
action-desk_ended = Рабочее место заблокировано или оставлено
action-desk_changed = Рабочее место настроено
action-visit_started = Приём начат
action-visit_ended = Приём окончен
action-chart_opened = Карта пациента открыта
action-out_of_card = Сделано вне карты
action-irregular_sign_in = Вход без карты
action-irregular_reviewed = Работа вне карты проверена
action-badge_signed_in = Вход по карте
action-person_located = Запрошено местонахождение
action-exchange_changed = Изменён обмен с системой
action-feed_taken = Принято из другой системы
action-service_registered = Услуга зарегистрирована
action-service_cancelled = Услуга отменена
action-service_refused = В услуге отказано
action-account_seen = Показан счёт пациента
action-payment_taken = Принята оплата
action-payment_returned = Деньги возвращены
action-till_requested = Запрошено списание или возврат
action-till_decided = Решение о списании или возврате
action-limit_overridden = Разрешено превышение лимита
action-drawer_changed = Смена открыта или закрыта
action-day_closed = Кассовый день закрыт
action-prices_changed = Изменены цены
action-terms_changed = Изменены условия оплаты
action-till_checked = Касса проверена
action-adopted = Перенесён старый журнал
