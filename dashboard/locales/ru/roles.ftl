# Роли: названия, для кого они, почему что-то с ними не сделано.

# Headings of the navigation.
places-more = Ещё
group-post = Пост
group-people = Люди
group-desk = Приёмы
group-till = Касса
group-exchange = Другие системы
group-trust = Доверие
group-office = Управление

# Роли программы и для кого они.
role-guard = Охранник
role-pass_office = Бюро пропусков
role-contact_centre = Контакт-центр
role-doctor = Врач
role-nurse = Медсестра
role-cashier = Кассир
role-accountant = Старший кассир
role-manager = Руководитель
role-auditor = Аудитор
role-privacy_officer = Ответственный за персональные данные
role-integrator = Интегратор
role-administrator = Администратор
role-may-guard = Дежурит на посту: кто проходит, двери, журнал
role-may-pass_office = Регистрирует людей и выдаёт пропуска
role-may-contact_centre = Отвечает на звонки и находит людей по имени
role-may-doctor = Лечит: видит, кто внутри и кого он лечит
role-may-nurse = Ухаживает: видит, кто внутри и за кем уход
role-may-cashier = Принимает оплату: находит людей по имени
role-may-accountant = Отвечает за кассу: цены, условия, согласования, закрытие
role-may-manager = Смотрит потоки и двери по псевдонимам и выгружает
role-may-auditor = Читает и проверяет журнал аудита
role-may-privacy_officer = Отвечает на запросы о персональных данных и проверяет, кто смотрел
role-may-integrator = Подключает другие системы через HTTP API
role-may-administrator = Всё, в том числе учётные записи и роли

# Учётные записи: список и что с ними можно сделать.
accounts-search = Имя или имя для входа
account-name = Имя
account-made = Создана
account-access = Доступ
account-state-signed_in = в системе
account-state-open = открыта
account-state-invited = пароля ещё нет
account-state-closed = закрыта
roles-title = Роли
roles-save = Сохранить роли
roles-own = Свои роли никто не меняет. Попросите другого администратора.
roles-beyond = Это больше ваших собственных прав. Попросите того, у кого они есть.
roles-last = Тогда никто не сможет управлять учётными записями и ролями. Сначала назначьте другого.
roles-none = У учётной записи есть хотя бы одна роль.
roles-too-many = У учётной записи не больше { $n } ролей.
roles-no-role = Такой роли уже нет. Загрузите страницу заново.
roles-no-zone = Такой зоны уже нет. Загрузите страницу заново.
roles-not-local = Эта роль не связана с местами. Дайте её на весь объект.
role-add = Добавить роль
role-add-none = нет
role-where = Где
whole-site = весь объект
role-where-help = Зона ограничивает то, что связано с местами: страницу «Сейчас», двери, устройства, журнал, кто внутри. Остальное действует на всём объекте.

# Роли: список и что каждая даёт.
roles-count = { $n ->
    [one] { $n } роль
    [few] { $n } роли
   *[many] { $n } ролей
}
roles-search = Роль или что она разрешает
role-who = У кого
role-nobody = ни у кого
role-permissions = Может
role-fields = Видит о человеке
role-is-own = своя
role-is-shipped = входит в программу; чтобы изменить, скопируйте
role-local = в своих зонах
role-new = Новая роль
role-name = Название
role-description = Для кого она
role-save = Сохранить роль
role-copy = Скопировать в новую роль
role-copy-of = { $a }, своя
role-remove = Удалить роль
role-remove-help = роль можно удалить, когда её ни у кого нет
permissions-count = { $n ->
    [one] { $n } право
    [few] { $n } права
   *[many] { $n } прав
}
fields-all = всё
fields-none = ничего: только псевдонимы
roles-bad-name = У роли название от 1 до { $n } знаков в одну строку.
roles-bad-text = Описание не длиннее { $n } знаков в одну строку.
roles-name-taken = Такое название уже есть у другой роли. Выберите другое.
roles-in-use = { $n ->
    [one] Эта роль ещё у { $n } учётной записи. Сначала дайте ей другую.
   *[other] Эта роль ещё у { $n } учётных записей. Сначала дайте им другую.
}
roles-done-made = Роль создана. Дайте её на странице «Учётные записи».
roles-done-changed = Роль изменена. Это действует со следующего щелчка у всех, у кого она есть.
roles-done-removed = Роль удалена.

# Что разрешает право.
permission-live_watch = Смотреть, кто проходит, сейчас
permission-door_open = Открыть дверь один раз; аварийное открытие
permission-door_command = Закрывать двери, открывать для всех, возвращать обычный режим
permission-devices_see = Видеть считыватели и контроллеры и их состояние
permission-journal_see = Читать журнал
permission-journal_export = Выгружать журнал в файл
permission-presence_see = Видеть, кто внутри
permission-person_find = Искать человека по имени, документу, контакту или номеру
permission-person_see = Открывать страницу человека, скрытую маской
permission-person_reveal = Открывать скрытые поля человека, указав цель
permission-person_edit = Регистрировать людей и исправлять сведения
permission-pass_edit = Выдавать, блокировать и отзывать пропуска
permission-person_erase = Стирать человека
permission-account_see = Видеть учётные записи и роли
permission-account_edit = Создавать и закрывать учётные записи, давать роли, завершать сеансы
permission-role_edit = Создавать и менять роли
permission-api_key_edit = Создавать и отзывать ключи HTTP API
permission-notice_see = Видеть почтовые уведомления и дошли ли они
permission-vault_manage = Открывать хранилище и менять его ключ
permission-audit_see = Читать и проверять журнал аудита
permission-audit_export = Выгружать журнал аудита в файл
permission-disclosure_see = Читать реестр передачи данных
permission-privacy_manage = Отвечать на запросы о персональных данных, ограничивать, вести карту данных
permission-break_glass_use = Экстренный доступ
permission-break_glass_review = Проверять экстренный доступ
permission-feed_read = Читать ленту изменений через HTTP API
permission-desk_use = Работать за рабочим местом: приёмы, работа вне карты
permission-desk_manage = Настраивать рабочие места и завершать открытое на них
permission-person_locate = Спрашивать, где находится пациент или сотрудник
permission-visit_see = Видеть приёмы, кабинеты и маршруты под псевдонимами
permission-irregular_review = Проверять сделанное вне карты
permission-exchange_see = Видеть обмен с другими системами
permission-exchange_manage = Подключать системы; повторять, приостанавливать и снимать доставки
permission-feed_write = Передавать персонал, пациентов и записи через HTTP API
permission-service_register = Регистрировать услуги пациенту и отменять их
permission-charge_see = Видеть, что начислено пациенту, сколько он должен и оплатил
permission-payment_take = Принимать оплату, открывать и закрывать свою смену
permission-till_approve = Разрешать списания и возвраты денег
permission-limit_override = Разрешать превышение лимита на время
permission-till_close = Закрывать дни и чужие смены
permission-price_edit = Задавать услуги и цены
permission-terms_edit = Задавать условия оплаты, группы, лимиты и скидки
permission-till_report = Видеть показатели кассы, по псевдонимам
permission-own_account = Своя учётная запись: язык, пароль, сеансы

# Что можно видеть о человеке.
field-name = имя
field-photo = фото
field-validity = пропуска и их срок
field-category = категория
field-birth_date = дата рождения
field-document = документы
field-contact = контакты
field-reference = табельный или учётный номер
field-visit_purpose = цель визита
